"""Networks as self-contained C99 for microcontrollers, checked under QEMU."""

from greenshift.deploy.c_export.export import CReport, LayerReport, export_c

__all__ = ["CReport", "LayerReport", "export_c"]
