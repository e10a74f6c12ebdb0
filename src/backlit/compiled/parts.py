"""Functions that only compiled functions call, compiled as parts of these: optimised once, where they are used.

Numba makes a function ready to run as soon as it is compiled: optimised, and written as machine code. What it calls is
optimised anew in it, and so on up to the one that Python calls; the lowest of our functions would be worked on seven
times, which is most of the time that a compilation takes. A part is handed on as it comes out of Numba's own passes.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Any

import numba
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

# Numba numbers the functions of a process, and a number is part of a function's name in machine code. Code that comes
# from the disk has the numbers of the process that compiled it: two of the same name, of which the first one found runs
# in place of both. So the numbers of every process begin somewhere else.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(56))

_Library: Any = JITCodeLibrary  # without types
_Passes: Any = DefaultPassBuilder
_numba: Any = numba
_registered: Any = register_pass
_Compiler: Any = CompilerBase
_Lowering: Any = NativeLowering


class _PartLibrary(_Library):  # type: ignore[misc]
    """The code of a part: linked with what it calls, and no more."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@_registered(mutates_CFG=True, analysis_only=False)
class _PartLowering(_Lowering):  # type: ignore[misc]
    """Numba's lowering, without the step that makes the function ready to run."""

    _name = "backlit_part_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        flags = state.flags
        state.flags = flags.copy()
        state.flags.no_compile = True
        super().run_pass(state)
        state.flags = flags
        # what Numba knows the function by: a function of Python's that stands for no machine code
        done = state["cr"]
        name = done.fndesc.qualname.split(".")[-1]
        entry = _numba._dynfunc.make_function(done.fndesc.lookup_module(), name, name, 0, done.env, (state.library,))
        state.targetctx.insert_user_function(entry, done.fndesc, [state.library])
        state["cr"] = done._replace(cfunc=entry)
        return True


class PartCompiler(_Compiler):  # type: ignore[misc]
    """Numba's pipeline of passes for parts."""

    def define_pipelines(self) -> list[Any]:
        pipeline = _Passes.define_nopython_pipeline(self.state, "backlit_part")
        for place, (made, words) in enumerate(pipeline.passes):
            if made is NativeLowering:
                pipeline.passes[place] = (_PartLowering, words)
        pipeline.finalize()
        return [pipeline]
