"""The commands of `trio-actors`, as cyclopts sees them.

The words of `-x` are taken out first (words.py), all else is parsed by cyclopts. Commands are plain
functions that return an exit code; `run` opens its own Trio loop, because its exit code and
its signals are part of its contract. Each imports what carries it out: `--help` needs none of that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console

from . import USAGE, live, logs
from .arguments import HERE, App, Control, LogFormat, LogLevel, Running, Set, exec_option, read
from .words import EXEC, Words, WordsError, split_words

EPILOGUE = """\
Exit codes of `run`: 0 after an orderly stop; with `-x` what the process decides (a number is that \
number, true 0, false 1, nothing 0, an error 1); 2 when the application or the command line is \
wrong, or the script of `-x` returns no method; 128 + the signal's number after a second Ctrl-C.
"""

cli = cyclopts.App(
    name="trio-actors",
    help="Run applications of Trio and Lua actors that are described in YAML.",
    help_epilogue=EPILOGUE,
    help_format="markdown",
    version=version("trio-actors"),
    result_action="return_value",
)


@cli.command
def run(
    app: App = HERE,
    /,
    *,
    exec: Annotated[
        tuple[str, ...],
        exec_option(
            "Run this process on the terminal host, and stop when it ends. The words after the "
            "id, and all words after `--`, are its arguments: `-x ns:name 1 2 -- --flag`."
        ),
    ] = (),
    set: Set = (),
    watch: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Apply edits of the application's files while it runs, all of an edit or "
            "nothing, and print what changed or was refused.",
        ),
    ] = False,
    history: Annotated[
        Path | None,
        Parameter(help="SQLite file that keeps the registry's versions from run to run."),
    ] = None,
    control: Annotated[
        Path | None,
        Parameter(
            help="Path of the control socket, which `ps`, `top` and `tree --live` look through; "
            "by default one in the user's runtime directory."
        ),
    ] = None,
    operators: Annotated[
        str | None,
        Parameter(
            help="A policy group, `ns:name`. What its policies allow the actor `operator` may be "
            "done through the control socket: cancel, terminate, suspend, resume, upgrade."
        ),
    ] = None,
    log_level: LogLevel = logs.Level.INFO,
    log_format: LogFormat = logs.Format.TEXT,
) -> int:
    """Start an application and stay until Ctrl-C, or until the process of `-x` ends.

    The first Ctrl-C (or SIGTERM) stops all in order, within 30 seconds; a second one at once.
    """
    from . import runner
    from .watch import watch as apply_watched

    logs.configure(log_level, log_format)
    application = read(app, set)
    if application is None:
        return USAGE
    process, *arguments = exec or ("",)
    beside = (lambda running: apply_watched(running, app, set)) if watch else None
    return runner.run(
        runner.Runner(
            application,
            process or None,
            arguments,
            beside,
            history,
            path=app,
            control=control,
            operators=operators,
        )
    )


@cli.command
def check(app: App = HERE, /, *, set: Set = ()) -> int:
    """Read and check an application without starting anything; report every problem.

    One line per problem, in file and line order: `file:line:column: entry id: field: expected ...,
    got ...`. The exit code is 2 when there are any.
    """
    application = read(app, set)
    if application is None:
        return USAGE
    count = len(application.definitions)
    sys.stdout.write(f"{count} {'entry' if count == 1 else 'entries'}, no problems\n")
    return 0


@cli.command
def tree(
    app: App = HERE,
    /,
    *,
    set: Set = (),
    mermaid: Annotated[bool, Parameter(negative=(), help="As a mermaid diagram.")] = False,
    svg: Annotated[bool, Parameter(negative=(), help="As an SVG picture.")] = False,
    live: Annotated[
        bool, Parameter(negative=(), help="The processes of the running application instead.")
    ] = False,
    control: Control = None,
) -> int:
    """Show what an application consists of, without starting it; with `--live` what runs."""
    from supervision import pictures

    from . import looking
    from . import tree as trees

    if live or control is not None:
        subject = looking.Subject(None if control else app, control)
        return looking.tree(subject, mermaid=mermaid, svg=svg)
    application = read(app, set)
    if application is None:
        return USAGE
    picture = trees.outline(application, app.resolve().name)
    if mermaid:
        sys.stdout.write(trees.mermaid(application) + "\n")
    elif svg:
        sys.stdout.write(pictures.svg(picture))
    else:
        Console().print(trees.render(picture))
    return 0


@cli.command
def ps(
    app: Running = None,
    /,
    *,
    control: Control = None,
    json: Annotated[
        bool, Parameter(negative=(), help="The whole snapshot as JSON, for programs.")
    ] = False,
    svg: Annotated[bool, Parameter(negative=(), help="As an SVG picture.")] = False,
    exits: Annotated[int, Parameter(help="How many of the last ends are shown, and why.")] = 0,
) -> int:
    """List the processes of a running application of this user, as a tree.

    Services come first, then processes that no service started; below each the children that it
    supervises or has started. Functions with a pool are listed after them.
    """
    from . import looking

    return looking.ps(looking.Subject(app, control), as_json=json, svg=svg, exits=exits)


@cli.command
def top(
    app: Running = None,
    /,
    *,
    control: Control = None,
    by: Annotated[live.Order, Parameter(help="The order of the lines.")] = live.Order.TREE,
    interval: Annotated[float, Parameter(help="Seconds between two frames.")] = 1.0,
    frames: Annotated[int, Parameter(help="End after so many frames; 0: never.")] = 0,
) -> int:
    """Watch the processes of a running application; q or Ctrl-C ends it, not the application."""
    from . import looking

    return looking.top(looking.Subject(app, control), by=by, interval=interval, frames=frames)


@cli.command
def observe(
    app: Running = None,
    /,
    *,
    control: Control = None,
    addr: Annotated[str, Parameter(help="Where the page is served.")] = "127.0.0.1:8001",
) -> int:
    """Serve a page with the live tree of a running application, until Ctrl-C (extra `http`).

    The address that is printed has a key: only who knows it sees anything. Processes can be
    cancelled, terminated, suspended and upgraded from the page if `run` was given `--operators`.
    """
    from . import looking, observing

    return observing.observe(looking.Subject(app, control), addr)


@cli.command
def call(
    app: App,
    id: Annotated[str, Parameter(help="The function, `ns:name`.")],
    /,
    *arguments: Annotated[str, Parameter(help="One JSON value per argument.")],
    set: Set = (),
    log_level: LogLevel = logs.Level.WARNING,
    log_format: LogFormat = logs.Format.TEXT,
) -> int:
    """Call one function of an application and print its result as JSON.

    Every word after the id is one argument: `trio-actors call shop shop:price '"tea"' 3`. The exit
    code is 1 when the call fails, with the error on standard error.
    """
    from . import functions

    logs.configure(log_level, log_format)
    application = read(app, set)
    return USAGE if application is None else functions.call(application, id, arguments)


@cli.command
def lua(
    app: App = HERE,
    /,
    *,
    import_: Annotated[
        tuple[str, ...],
        Parameter(
            name="--import",
            negative=(),
            show_default=False,
            help="A library of the application, for `require`. Repeatable.",
        ),
    ] = (),
    history: Annotated[
        Path | None, Parameter(help="File that keeps the lines from prompt to prompt.")
    ] = None,
    stubs: Annotated[
        Path | None,
        Parameter(
            help="Start nothing; write `.luarc.json` and annotations for editors into this "
            "directory."
        ),
    ] = None,
    set: Set = (),
    log_level: LogLevel = logs.Level.WARNING,
    log_format: LogFormat = logs.Format.TEXT,
) -> int:
    """Start an application and open a Lua prompt inside a fresh process of it.

    All modules are there. Ctrl-C stops the chunk that runs, Ctrl-D leaves.
    """
    from lua_bridge.stubs import write_stubs

    from . import prompt

    if stubs is not None:
        for path in write_stubs(stubs):
            sys.stdout.write(f"written: {path}\n")
        return 0
    logs.configure(log_level, log_format)
    application = read(app, set)
    return USAGE if application is None else prompt.prompt(application, import_, history)


@cli.command
def docs(
    app: App = HERE,
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Directory for one file per contract.")
    ] = None,
    serve: Annotated[
        bool, Parameter(negative=(), help="Show the pages in a browser, made anew at each reload.")
    ] = False,
    port: Annotated[int, Parameter(help="Port of --serve on this machine; 0 takes any.")] = 8000,
    set: Set = (),
) -> int:
    """Write the documentation of an application's contracts as Markdown, without starting it."""
    from ..definitions import read_application
    from . import functions

    application = read(app, set)
    if application is None:
        return USAGE
    if serve:
        return functions.serve(lambda: read_application(app, set), port)
    return functions.docs(application, output)


@cli.command
def queue(
    app: App = HERE,
    id: Annotated[str | None, Parameter(help="The queue, `ns:name`; without it all.")] = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="How many messages are shown.")] = 20,
    replay: Annotated[
        bool,
        Parameter(negative=(), help="Send the dead letters in it back to where they came from."),
    ] = False,
    set: Set = (),
) -> int:
    """List the queues of an application, look at messages, replay dead letters.

    It reads the files of durable queues (`driver: sqlite`), whether the application runs or not.
    """
    from . import queues

    application = read(app, set)
    if application is None:
        return USAGE
    return queues.queue(application, id, limit=limit, replay=replay)


@cli.command
def explore(
    app: App = HERE,
    /,
    *,
    exec: Annotated[
        tuple[str, ...],
        exec_option(
            "Run this process too, on the terminal host; what it prints is dropped. The words "
            "after the id, and all words after `--`, are its arguments."
        ),
    ] = (),
    schedules: Annotated[int, Parameter(help="How many runs.")] = 200,
    seconds: Annotated[float, Parameter(help="Virtual seconds that each run lasts.")] = 3.0,
    kills: Annotated[float, Parameter(help="Probability of a kill at a delivery.")] = 0.03,
    delays: Annotated[float, Parameter(help="Probability of a delay at a delivery.")] = 0.03,
    replay: Annotated[
        str | None,
        Parameter(name=("--replay", "--sim-replay"), help="Make only the run of this token."),
    ] = None,
    report: Annotated[
        Path | None, Parameter(help="Directory for text, Mermaid and SVG of a failure.")
    ] = None,
    set: Set = (),
) -> int:
    """Start and stop an application in simulated time, under many orders of its messages.

    What is checked are the invariants of every run (nobody left behind, every watcher told, names
    released, nothing handled after an end, ...) and that it starts. A failure is shrunk and drawn;
    its token repeats it with `--replay`. The exit code is then 1.
    """
    from . import exploring

    application = read(app, set)
    if application is None:
        return USAGE
    process, *arguments = exec or ("",)
    return exploring.explore(
        application,
        app.resolve().name,
        process=process or None,
        arguments=arguments,
        schedules=schedules,
        seconds=seconds,
        kills=kills,
        delays=delays,
        replay=replay,
        report=report,
    )


RUN_OPTIONS = (
    *EXEC,
    "--set",
    "--watch",
    "--history",
    "--control",
    "--operators",
    "--log-level",
    "--log-format",
    "--help",
    "-h",
)


EXPLORE_OPTIONS = (
    *EXEC,
    "--schedules",
    "--seconds",
    "--kills",
    "--delays",
    "--replay",
    "--sim-replay",
    "--report",
    "--set",
    "--help",
    "-h",
)
WITH_PROCESS = {"run": RUN_OPTIONS, "explore": EXPLORE_OPTIONS}


def run_command(argv: Sequence[str]) -> int:
    """Run one command line; never raises for a wrong one."""
    try:
        options = WITH_PROCESS.get(argv[0]) if argv else None
        words = Words(tuple(argv)) if options is None else split_words(argv, options)
    except WordsError as error:
        sys.stderr.write(f"trio-actors {argv[0]}: {error}\n")
        return USAGE
    tokens = list(words.rest)
    if words.process is not None:
        tokens += [f"--exec={word}" for word in (words.process, *words.arguments)]
    try:
        result = cli(
            tokens,
            exit_on_error=False,
            error_console=Console(stderr=True),
        )
    except cyclopts.CycloptsError:  # already printed
        return USAGE
    return result if isinstance(result, int) else 0
