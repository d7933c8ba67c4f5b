# %% [markdown]
# # From churn to a plan, as a library
#
# No command and no run folder: a table of customers, a model of who leaves, portraits of those who did, and whom to contact how.
# The cells run one after the other in a notebook (Jupytext, VS Code) or as a script.

# %%
import numpy as np
from sklearn.metrics import roc_auc_score

from marketnn import registry
from marketnn.allocation import assign_offers
from marketnn.classify.drivers import fit_drivers
from marketnn.cluster import CK
from marketnn.preprocess import Encoder, stratified_split

table = registry.build("data", {"name": "packaged", "drop": ["total_charges"]})
left = (table.frame["churn"] == "Yes").to_numpy().astype(int)
print(f"{len(left):,} customers, {left.sum():,} of them left.")

# %% [markdown]
# ## Who leaves
#
# Everything is fitted on training rows; rows that stand twice stay on one side of the split. "No internet service" stands in six
# columns: of columns that say the same thing all but one are left out, each with its reason.

# %%
split = stratified_split(table.features, left, seed=0)
encoder = Encoder.fit(table.features.iloc[split.train])
encoded = encoder.transform(table.features).frame
drivers = fit_drivers(encoded.iloc[split.train], left[split.train], correction="benjamini-hochberg")
probability = drivers.result.predict_probability(encoded[drivers.result.table.index.drop("const")])
auc = roc_auc_score(left[split.test], probability[split.test])
print(
    f"AUC {auc:.3f} on customers it has not seen; {len(drivers.kept)} columns are significant, {len(drivers.left_out)} left out."
)
print(drivers.result.table.loc[drivers.kept, ["coef", "ci_low", "ci_high", "vif"]].round(2))
assert 0.82 < auc < 0.87

# %% [markdown]
# ## Portraits of the leavers
#
# CK scales the columns, starts from CLARA's medoids and goes on with swaps of centres.

# %%
leavers = encoded.loc[left == 1, drivers.kept]
portraits = CK(3, refine="swap", random_state=0).fit(leavers)
print(leavers.groupby(portraits.labels_).mean().T.round(2))

# %% [markdown]
# ## Whom to contact how
#
# What a contact changes is an assumption here: a call keeps 30 % of those who would leave and costs 8, a letter 8 % and 1.

# %%
staying = left == 0
at_risk = probability[staying] * 12 * table.frame.loc[staying, "monthly_charges"].to_numpy()
plan = assign_offers(np.column_stack([0.30 * at_risk - 8, 0.08 * at_risk - 1]), capacity=[500, 5_000])
called, written = (int((plan.offer == offer).sum()) for offer in (0, 1))
print(f"{called} calls and {written:,} letters are worth {plan.value:,.0f}; one more call {plan.shadow_price[0]:.2f}.")
assert plan.status == "optimal"
assert called == 500
