"""The built-in kinds, one small file per subject; `BUILTIN` is the table of all of them.

An entry of the table has the form of an entry point, `module:attribute`, so that a built-in kind
and one of another distribution take the same way (catalog.py). A kind whose extra is not installed
is known all the same: its entries are load errors that name the extra (HT1).
"""

from collections.abc import Mapping

_HOSTS = "registry.kinds.hosts"
_CODE = "registry.kinds.code"
_FUNCTIONS = "registry.kinds.functions"
_SECURITY = "registry.kinds.security"

BUILTIN: Mapping[str, str] = {
    "process.host": f"{_HOSTS}:PROCESS_HOST",
    "terminal.host": f"{_HOSTS}:TERMINAL_HOST",
    "process.lua": f"{_CODE}:PROCESS_LUA",
    "process.py": f"{_CODE}:PROCESS_PY",
    "library.lua": f"{_CODE}:LIBRARY_LUA",
    "function.lua": f"{_FUNCTIONS}:FUNCTION_LUA",
    "function.py": f"{_FUNCTIONS}:FUNCTION_PY",
    "function.interceptor": f"{_FUNCTIONS}:FUNCTION_INTERCEPTOR",
    "contract.definition": "registry.kinds.contracts:CONTRACT_DEFINITION",
    "contract.binding": "registry.kinds.contracts:CONTRACT_BINDING",
    "security.policy": f"{_SECURITY}:POLICY",
    "security.policy.expr": f"{_SECURITY}:POLICY_EXPR",
    "security.token_store": "registry.kinds.stores:TOKEN_STORE",
    "store.memory": "registry.kinds.stores:STORE_MEMORY",
    "process.service": "registry.kinds.service:PROCESS_SERVICE",
    "supervisor": "registry.kinds.supervisor:SUPERVISOR",
    "queue.queue": "registry.kinds.queues:QUEUE",
    "queue.consumer": "registry.kinds.queues:CONSUMER",
    "schedule.job": "registry.kinds.schedules:JOB",
    "http.service": "registry.kinds.http:HTTP_SERVICE",
    "http.router": "registry.kinds.http:HTTP_ROUTER",
    "http.endpoint": "registry.kinds.http:HTTP_ENDPOINT",
    "registry.entry": "registry.kind:REGISTRY_ENTRY",
}

# Modules that come with an extra: what to install when they are missing.
EXTRAS: Mapping[str, str] = {
    "hypercorn": "http",
    "starlette": "http",
    "cronsim": "schedule",
}
