"""The configurations of public tables give their columns the right roles, in files with the columns as they are published."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from marketnn import registry
from marketnn.command.help import config_folder
from marketnn.data import Role, Table

SERVICES = (
    "MultipleLines",
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
)
TELCO = {
    "customerID": [f"{i:04}-VHVEG" for i in range(60)],
    "gender": ["Female", "Male"],
    "SeniorCitizen": [0, 1],
    **{name: ["Yes", "No"] for name in ("Partner", "Dependents", "PhoneService", "PaperlessBilling")},
    **{name: ["Yes", "No", "No internet service"] for name in SERVICES},
    "InternetService": ["DSL", "Fiber optic", "No"],
    "Contract": ["Month-to-month", "One year", "Two year"],
    "PaymentMethod": ["Electronic check", "Mailed check", "Credit card (automatic)"],
    "tenure": [0, 1, 2, 34, 72],
    "MonthlyCharges": [29.85, 56.95, 53.85],
    "TotalCharges": [" ", 29.85, 108.15, 1889.5, 5036.3],
    "Churn": ["No", "No", "Yes"],
}
HILLSTROM = {
    "recency": [10, 6, 7],
    "history_segment": ["2) $100 - $200", "6) $750 - $1,000"],
    "history": [142.44, 929.08, 180.65],
    **{name: [0, 1] for name in ("mens", "womens", "newbie")},
    "zip_code": ["Surburban", "Rural", "Urban"],
    "channel": ["Phone", "Web", "Multichannel"],
    "segment": ["Mens E-Mail", "Womens E-Mail", "No E-Mail"],
    "visit": [0, 0, 0, 1],
    "conversion": [0, 0, 0, 0, 1],
    "spend": [0.0, 0.0, 0.0, 0.0, 29.99],
}
MEASURES = (
    "Administrative",
    "Administrative_Duration",
    "Informational",
    "Informational_Duration",
    "ProductRelated",
    "ProductRelated_Duration",
    "BounceRates",
    "ExitRates",
    "PageValues",
    "SpecialDay",
)
CODES = ("OperatingSystems", "Browser", "Region", "TrafficType")
SHOPPERS = {
    **{name: [0.0, 1.0, 2.5] for name in MEASURES},
    **{name: [1, 2, 3] for name in CODES},
    "Month": ["Feb", "Mar", "May"],
    "VisitorType": ["Returning_Visitor", "New_Visitor", "Other"],
    "Weekend": ["FALSE", "TRUE"],
    "Revenue": ["FALSE", "FALSE", "TRUE"],
}


def read(name: str, columns: dict[str, list], folder: Path) -> Table:
    """Write sixty rows in which each column's values take turns, and read them with the configuration."""
    path = folder / f"{name}.csv"
    pd.DataFrame({column: [values[i % len(values)] for i in range(60)] for column, values in columns.items()}).to_csv(
        path, index=False
    )
    settings = yaml.safe_load((config_folder() / "data" / f"{name}.yaml").read_text())
    return registry.build("data", {**settings, "path": str(path)}).ready()


def test_telco_as_kaggle_has_it(tmp_path: Path) -> None:
    telco = read("telco", TELCO, tmp_path)
    assert telco.schema.names(Role.ID) == ["customerID"]
    assert len(telco.schema.features) == 19
    assert len(telco.frame) == 48, "a total charge of one blank is missing"
    assert telco.frame["TotalCharges"].min() == 29.85
    assert telco.binary_target()[0].sum() == 16


def test_hillstrom(tmp_path: Path) -> None:
    hillstrom = read("hillstrom", HILLSTROM, tmp_path)
    assert hillstrom.binary_target()[0].sum() == 15
    assert hillstrom.schema.names(Role.LEAKAGE) == ["conversion", "spend"]
    assert set(HILLSTROM) - set(hillstrom.schema.features) == {"history_segment", "visit", "conversion", "spend"}


def test_online_shoppers(tmp_path: Path) -> None:
    shoppers = read("online_shoppers", SHOPPERS, tmp_path)
    assert shoppers.binary_target()[0].sum() == 20
    assert set(CODES) <= set(shoppers.schema.names(Role.CATEGORICAL))
    assert len(shoppers.schema.features) == 17
