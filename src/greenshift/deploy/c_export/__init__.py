"""Networks as self-contained C99 for microcontrollers, checked under QEMU."""

from greenshift.deploy.c_export.export import CReport, LayerReport, export_c
from greenshift.deploy.c_export.verify import Run, Verification, verify_c

__all__ = ["CReport", "LayerReport", "Run", "Verification", "export_c", "verify_c"]
