"""From raw columns to numbers: scaling, encoding, splitting."""

from marketnn.preprocess.decimal import DecimalScaler
from marketnn.preprocess.encoding import Encoded, Encoder
from marketnn.preprocess.minmax import MinMaxScaler
from marketnn.preprocess.splitting import Split, stratified_split
from marketnn.preprocess.standard import StandardScaler

__all__ = [
    "DecimalScaler",
    "Encoded",
    "Encoder",
    "MinMaxScaler",
    "Split",
    "StandardScaler",
    "stratified_split",
]
