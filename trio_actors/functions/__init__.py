"""Functions: called with the caller's context, bounded by pools, wrapped by interceptors.

The map: `service.py` (registering and calling), `frame.py` (one running call), `pool.py` over
`pool_core.py` and `adaptive.py` (who runs, who waits), `chain.py` and `built_in.py`
(interceptors), `future.py` (async calls), `contracts.py` over `contract_model.py` (contracts).
The pure parts never await: pool_config, pool_core, adaptive, retry, breaker, options,
contract_model, simulation.
"""

from trio_actors.functions.built_in import FunctionMetrics, Span
from trio_actors.functions.callee import Callee, PythonCallee, import_callable
from trio_actors.functions.chain import Call, Next
from trio_actors.functions.contract_model import (
    Binding,
    Definition,
    parse_binding,
    parse_definition,
)
from trio_actors.functions.contracts import Contract, Contracts, Instance
from trio_actors.functions.executor import Executor
from trio_actors.functions.frame import FrameContext
from trio_actors.functions.future import Future
from trio_actors.functions.pool_config import Overflow, PoolConfig, PoolType, parse_pool
from trio_actors.functions.pool_core import PoolStatistics
from trio_actors.functions.service import Functions, open_functions

__all__ = [
    "Binding",
    "Call",
    "Callee",
    "Contract",
    "Contracts",
    "Definition",
    "Executor",
    "FrameContext",
    "FunctionMetrics",
    "Functions",
    "Future",
    "Instance",
    "Next",
    "Overflow",
    "PoolConfig",
    "PoolStatistics",
    "PoolType",
    "PythonCallee",
    "Span",
    "import_callable",
    "open_functions",
    "parse_binding",
    "parse_definition",
    "parse_pool",
]
