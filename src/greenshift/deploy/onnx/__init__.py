"""Export to ONNX in the standard quantise-dequantise form, and its check in ONNX Runtime."""

from greenshift.deploy.onnx.export import OnnxReport, export_onnx
from greenshift.deploy.onnx.verify import OnnxCheck, verify_onnx

__all__ = ["OnnxCheck", "OnnxReport", "export_onnx", "verify_onnx"]
