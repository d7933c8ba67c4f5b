"""Write down what follows from a recommender: tiers and their channels, what they save, and who gets which offer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketnn.classify import PolicyValue
from marketnn.classify.policy import AS_OFFERED, NORMALISED
from marketnn.pipeline.recommend.analysis import Config, RecommendAnalysis
from marketnn.pipeline.recommend.contacts import BEST, CALL, EVERYONE, MESSAGE, NONE, TIERS, profitable_contact
from marketnn.report import figures, recommend_figures
from marketnn.spelling import counted
from marketnn.tracking import Run

BOUNDS = (0.0, 0.2, 0.5, 0.8, 1.0)
RATES = {"rows": ("accepted", "hit_rate", "low", "high")}  # what counts a tier's rows -> what tells of them


def record_contacts(analysis: RecommendAnalysis, config: Config, out: Run) -> None:
    """Record tiers, hit rates, what messages save, and contact rules beside one another."""
    contacts, calibrated = analysis.contacts, analysis.model.calibration is not None
    out.section(
        "Whom to contact, and how",
        "The probability puts every row into one of four tiers (paper A, section 4.3), and the tier says the channel. "
        + ("" if calibrated else "The probabilities are uncalibrated, so a tier may not keep what it promises. ")
        + "Tables and figures here count test rows by the offer they were made; the table customers.csv has every row with its "
        + ("tier, " if analysis.model.offer is None else "best offer, the tier and action of that, ")
        + "and the contact of highest expected profit.",
    )
    caption = "Tiers of the test rows" + ("" if calibrated else " (uncalibrated)")
    out.table("tiers", contacts.tiers, caption, size="rows")
    out.figure(
        "tiers",
        recommend_figures.tiers_figure(out.drawn(contacts.tiers, cells=RATES), BOUNDS),
        "Test rows by tier, and whether tiers keep what they promise.",
    )
    last = int(contacts.tiers["rows"].iloc[-1])
    rules = contacts.rules
    out.headline(
        f"{counted(last, 'test row')} {'is' if last == 1 else 'are'} in tier 4{'' if calibrated else ' (uncalibrated)'}; "
        f"messages instead of calls there save {contacts.saving:,.2f} in the unit of the revenue."
    )
    contacted = int(rules.loc[BEST, ["calls", "messages"]].sum())
    earned = rules["observed_profit"]
    out.headline(
        f"By expected profit {contacted:,} of {len(analysis.split.test):,} test rows are worth a contact: it earned "
        f"{earned[BEST]:,.1f}, the tiers {earned[TIERS]:,.1f}, calling everyone {earned[EVERYONE]:,.1f}."
    )
    out.text(
        f"A call costs {config.outbound_cost:g} and a message {config.sms_cost:g}, in the unit of the revenue. As the paper "
        "has it, in tier 4 a message sells as well as a call; that it sells nothing elsewhere is assumed here. Observed profit "
        "counts what the test rows accepted."
    )
    out.table("contact_rules", rules, "Contact rules on the test rows", index=True)
    out.metric(
        tier_saving=contacts.saving,
        expected_profit=rules.loc[BEST, "expected_profit"],
        observed_profit=rules.loc[BEST, "observed_profit"],
        observed_profit_of_tiers=rules.loc[TIERS, "observed_profit"],
        **{f"tier_{row.tier}_size": int(row.rows) for row in contacts.tiers.itertuples()},
    )
    out.table("customers", _customers(analysis, config), "Every row", show=False)


def _customers(analysis: RecommendAnalysis, config: Config) -> pd.DataFrame:
    """Return every row by its number, what the model says of it, and the contact of highest expected profit."""
    model, scored = analysis.model, analysis.scored
    if model.offer is None:
        offered, revenue = scored["probability"], np.full(len(scored), config.default_revenue)
    else:
        offered, revenue = scored["offer_probability"], scored["offer"].map(model.revenue).to_numpy(float)
    contact = profitable_contact(
        offered.to_numpy(), revenue, outbound_cost=config.outbound_cost, sms_cost=config.sms_cost
    )
    names = pd.Series({CALL: "call", MESSAGE: "message", NONE: "none"})
    told = scored.reset_index(drop=True).assign(profitable_contact=names[contact].to_numpy())
    told.insert(0, "row", analysis.table.row_numbers)
    return told


def record_offers(analysis: RecommendAnalysis, config: Config, out: Run) -> None:
    """Record who gets which offer, and what recommending is worth where that can be told."""
    model, scored = analysis.model, analysis.scored
    if model.offer is None or analysis.offer_probability is None:
        return
    out.section(
        "Which offer to whom",
        f"Every customer's best of {len(model.offers)} offers is that of the highest probability times revenue. "
        + (
            "The offers were drawn by chance, so the test rows tell what recommending brings."
            if config.randomised
            else "Who was made which offer was not drawn by chance, so part of what tells the offers apart may be what tells "
            "their customers apart; what recommending brings only a trial with offers drawn by chance tells "
            "(pipeline.randomised=true)."
        ),
    )
    best = scored.groupby("offer")[["offer_probability", "expected_value"]].mean()
    offers = pd.DataFrame(
        {
            "made": analysis.table.frame[model.offer].value_counts(),
            "best_of": scored["offer"].value_counts(),
            "mean_probability": analysis.offer_probability.mean(),
            "mean_probability_where_best": best["offer_probability"],
            "mean_expected_value_where_best": best["expected_value"],
        },
        index=pd.Index(model.offers, name="offer"),
    )
    offers = offers.fillna({"made": 0, "best_of": 0}).astype({"made": int, "best_of": int})
    caption = "Offers, how often they were made, and of how many rows each is the best"
    cells = {"best_of": [*best.columns]}
    out.table("offers", offers, caption, index=True, size="made", cells=cells)
    out.figure(
        "offers",
        figures.bars_figure(
            list(offers.index), {"made": list(offers["made"]), "best of": list(offers["best_of"])}, "rows"
        ),
        "How often each offer was made, and how often it is the best.",
    )
    commonest = offers["best_of"].idxmax()
    out.headline(
        f"{int((offers['best_of'] > 0).sum())} of {len(offers)} offers are somebody's best; {commonest} is that of "
        f"{offers['best_of'].max() / len(scored):.0%}."
    )
    out.metric(n_offers=len(offers), mean_expected_value=scored["expected_value"].mean())
    if analysis.policy is not None:
        _policy(analysis.policy, out)


def _policy(policy: PolicyValue, out: Run) -> None:
    """Record what recommending brings beside one offer for everybody and beside what was done."""
    rows = policy.table.set_index("policy")
    single = f"{policy.best_single} to everybody"
    out.text(
        f"{policy.n_matched:,} test rows happened to be made the offer recommended for them; what they brought tells what "
        "recommending brings to all."
    )
    out.table("policies", policy.table, "Value per row of several policies, told from the test rows")
    out.figure(
        "policies",
        recommend_figures.policy_figure(rows.loc[[NORMALISED, single, AS_OFFERED]].reset_index()),
        "What policies are worth, with 95 % intervals.",
    )
    told = {name: "{value:,.4g} ({low:,.4g} to {high:,.4g})".format(**rows.loc[name]) for name in rows.index}
    out.headline(
        f"Recommending is worth {told[NORMALISED]} a row on the test rows; {single}, {told[single]}; as offered, "
        f"{told[AS_OFFERED]}."
    )
    out.metric(
        policy_value=rows.loc[NORMALISED, "value"],
        policy_value_se=rows.loc[NORMALISED, "std_error"],
        best_single_value=rows.loc[single, "value"],
        as_offered_value=rows.loc[AS_OFFERED, "value"],
    )
