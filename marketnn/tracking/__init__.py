"""What a run leaves behind: its folder, TensorBoard events and saved model."""

from marketnn.tracking.model import SavedModel, load_model, save_model
from marketnn.tracking.run import Run

__all__ = ["Run", "SavedModel", "load_model", "save_model"]
