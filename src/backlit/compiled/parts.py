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
from llvmlite.binding import Linkage
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering, NopythonRewrites

from . import numba_alone

#: Importing it changes how Numba is loaded.
_LOADED = numba_alone

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


def _with_wide_vectors(ir_module: Any) -> Any:
    """The code of a module whose loops may take vectors as wide as the processor has: LLVM's guess is half of that."""
    for function in ir_module.functions:
        if function.blocks:
            set.add(function.attributes, '"prefer-vector-width"="512"')
    return ir_module


class _PartLibrary(_Library):  # type: ignore[misc]
    """The code of a part, as it was generated; what it calls is linked where the whole is."""

    _with_all: Any = None

    def add_ir_module(self, ir_module: Any) -> None:
        super().add_ir_module(_with_wide_vectors(ir_module))

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"  # the whole is optimised as if it were its own
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """With all that is below it: for functions that Numba compiles in its own way."""
        if self._with_all is None:
            self._with_all = self._final_module.clone()
            for one in _all_below(self._linking_libraries):
                module = one._final_module if isinstance(one, _PartLibrary) else one._get_module_for_linking()
                self._with_all.link_in(module, preserve=True)
        return self._with_all


class _WholeLibrary(_Library):  # type: ignore[misc]
    """The code of a function that Python calls, linked once with every part below it."""

    def add_ir_module(self, ir_module: Any) -> None:
        super().add_ir_module(_with_wide_vectors(ir_module))

    def finalize(self) -> None:
        below = _all_below(self._linking_libraries)
        for one in below:
            if isinstance(one, _PartLibrary):
                self._final_module.link_in(one._final_module, preserve=True)
        self._linking_libraries: list[Any] = [one for one in below if not isinstance(one, _PartLibrary)]
        super().finalize()


def _all_below(libraries: list[Any]) -> list[Any]:
    """Libraries and what their parts call, each once."""
    found: dict[Any, None] = {}
    waiting = list(libraries)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            waiting += one._linking_libraries if isinstance(one, _PartLibrary) else []
    return list(found)


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


@_registered(mutates_CFG=True, analysis_only=False)
class _WholeLowering(_Lowering):  # type: ignore[misc]
    """Numba's lowering, into a library of ours."""

    _name = "backlit_whole_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _WholeLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


class PartCompiler(_Compiler):  # type: ignore[misc]
    """Numba's pipeline of passes for parts."""

    lowering: Any = _PartLowering

    def define_pipelines(self) -> list[Any]:
        pipeline = _Passes.define_nopython_pipeline(self.state, f"backlit_{self.lowering._name}")
        pipeline.passes = [
            (self.lowering if made is NativeLowering else made, words)
            for made, words in pipeline.passes
            if made is not NopythonRewrites  # of expressions over whole arrays, which kernels have none of
        ]
        pipeline.finalize()
        return [pipeline]


class WholeCompiler(PartCompiler):
    """The same for what Python calls."""

    lowering = _WholeLowering
