"""A generator as one ONNX file, which runs without ganzoo and without torch, and knows what it holds."""

from .writing import Exported, Port, export, refuse_path

__all__ = ["Exported", "Port", "export", "refuse_path"]
