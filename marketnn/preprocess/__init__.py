"""From raw columns to numbers: scaling, encoding, splitting."""

from marketnn.preprocess.advice import ScalerAdvice, advise_scaler
from marketnn.preprocess.decimal import DecimalScaler
from marketnn.preprocess.encoding import Encoded, Encoder, Met
from marketnn.preprocess.minmax import MinMaxScaler
from marketnn.preprocess.selection import PearsonImportanceSelector
from marketnn.preprocess.splitting import Split, stratified_split
from marketnn.preprocess.standard import StandardScaler

__all__ = [
    "DecimalScaler",
    "Encoded",
    "Encoder",
    "Met",
    "MinMaxScaler",
    "PearsonImportanceSelector",
    "ScalerAdvice",
    "Split",
    "StandardScaler",
    "advise_scaler",
    "stratified_split",
]
