# %% [markdown]
# # Levenberg-Marquardt against Adam
#
# One network, the same first weights, the strength of concrete from its mixture. Levenberg-Marquardt solves a linear system per
# step; Adam takes many cheap steps. Epochs and seconds are both worth a look.

# %%
import time

import torch

from marketnn import registry
from marketnn.network import BPNetwork
from marketnn.optim import train

table = registry.build("data", {"name": "packaged", "table": "concrete"})
rows = torch.tensor(
    table.frame[[*table.schema.features, *table.schema.names("target")]].to_numpy(), dtype=torch.float64
)
rows = (rows - rows.amin(0)) / (rows.amax(0) - rows.amin(0))
order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
x, y = rows[order, :-1], rows[order, -1:]
learn, stop, test = slice(0, 600), slice(600, 800), slice(800, None)

# %% [markdown]
# ## Both, with early stopping on the same validation rows

# %%
errors = {}
for optimizer, epochs in (("lm", 200), ("adam", 1_500)):
    network = BPNetwork([x.shape[1], 12, 1], output="identity", seed=0)
    began = time.perf_counter()
    result = train(
        network,
        x[learn],
        y[learn],
        optimizer=optimizer,
        max_epochs=epochs,
        validation=(x[stop], y[stop]),
        max_fail=20 if optimizer == "lm" else 300,
    )
    seconds = time.perf_counter() - began
    with torch.no_grad():
        errors[optimizer] = float((network(x[test]) - y[test]).square().mean().sqrt())
    print(f"{optimizer:5s} {result.best_epoch:5d} epochs {seconds:5.2f} s  test RMSE {errors[optimizer]:.4f}")

assert errors["lm"] < 1.1 * errors["adam"]
