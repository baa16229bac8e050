"""Every column a result may use: its heading, its meaning, and how its values are written.

A result that needs a new column adds one line here; `tests/test_contract.py` refuses any other.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["text", "number", "bounded", "count", "share", "p_value", "df", "flag"]


class Column(NamedTuple):
    """One column of a table.

    `kind` decides how values are written: `number` two decimals, `bounded` two decimals without the leading zero
    (it cannot exceed 1), `count` whole, `share` as a percentage, `p_value` as APA 7 has it, `df` up to one decimal.
    """

    heading: str
    meaning: str
    kind: Kind = "number"


TIDY: dict[str, Column] = {
    # what a row is about
    "term": Column("Term", "variable, scale, item or coefficient the row is about", "text"),
    "other_term": Column("With", "second variable of a pair", "text"),
    "outcome": Column("Outcome", "variable that is explained", "text"),
    "scale": Column("Scale", "scale the row is about", "text"),
    "group": Column("Group", "department or other group of respondents", "text"),
    "segment": Column("Segment", "kind of respondent found by clustering", "text"),
    "wave": Column("Wave", "round of the survey", "text"),
    "previous_wave": Column("Previous wave", "round it is compared with", "text"),
    "statement": Column("Statement", "hypothesis in words", "text"),
    "verdict": Column("Verdict", "what the data allow to say", "text"),
    "reason": Column("Reason", "why, in words", "text"),
    "reading": Column("Reading", "the number in plain words, by a named rule", "text"),
    "rule": Column("Rule", "cleaning rule or decision rule", "text"),
    "stage": Column("Stage", "step of cleaning the rule belongs to", "text"),
    "action": Column("Action", "what the rule does to the answers it hits", "text"),
    # counts and shares
    "n": Column("n", "respondents", "count"),
    "n_previous": Column("n before", "respondents in the previous wave", "count"),
    "n_linked": Column("n linked", "respondents found in both waves", "count"),
    "n_items": Column("Items", "items of the scale", "count"),
    "n_before": Column("Before", "respondents before the rule", "count"),
    "n_hit": Column("Hit", "respondents the rule applies to", "count"),
    "n_removed": Column("Removed", "respondents this rule removed first", "count"),
    "n_after": Column("After", "respondents left after the rule", "count"),
    "n_frame": Column("Head count", "people in the group by the head-count frame", "count"),
    "k": Column("Groups", "number of groups tried", "count"),
    "share": Column("Share", "share of respondents", "share"),
    "response": Column("Response", "respondents per head count", "share"),
    "missing_share": Column("Missing", "share of answers that are missing", "share"),
    # estimates
    "estimate": Column("Estimate", "the estimate"),
    "std_estimate": Column("Beta", "estimate in standard deviations of outcome and predictor"),
    "odds_ratio": Column("Odds ratio", "factor by which the odds change for one unit more"),
    "std_error": Column("SE", "standard error of the estimate"),
    "statistic": Column("Statistic", "test statistic: t, z, F or chi-squared as the note says"),
    "df": Column("df", "degrees of freedom", "df"),
    "p_value": Column("p", "probability of a statistic at least as extreme if there is no effect", "p_value"),
    "p_adjusted": Column("p (corrected)", "p after correction for the number of tests on the page", "p_value"),
    "conf_low": Column("CI low", "lower end of the confidence interval"),
    "conf_high": Column("CI high", "upper end of the confidence interval"),
    "difference": Column("Change", "this wave minus the previous one"),
    "previous": Column("Before", "estimate in the previous wave"),
    "threshold": Column("Cut-off", "value from which the rule speaks"),
    "vif": Column("VIF", "variance inflation factor"),
    # description
    "mean": Column("M", "mean"),
    "std_dev": Column("SD", "standard deviation"),
    "skew": Column("Skew", "skewness, adjusted for sample size"),
    "minimum": Column("Min", "smallest possible or observed value as the note says"),
    "maximum": Column("Max", "largest possible or observed value as the note says"),
    "alpha": Column("alpha", "Cronbach's alpha", "bounded"),
    "omega": Column("omega", "McDonald's omega total", "bounded"),
    "alpha_low": Column("alpha CI low", "lower end of the confidence interval of alpha", "bounded"),
    "alpha_high": Column("alpha CI high", "upper end of the confidence interval of alpha", "bounded"),
    "omega_low": Column("omega CI low", "lower end of the confidence interval of omega", "bounded"),
    "omega_high": Column("omega CI high", "upper end of the confidence interval of omega", "bounded"),
    "loading": Column("Loading", "standardized loading of the item on the one factor of its scale", "bounded"),
    "item_rest": Column("Item-rest r", "correlation of the item with the sum of the other items", "bounded"),
    "alpha_without": Column("alpha without", "alpha of the scale if the item is left out", "bounded"),
    "correlation": Column("r", "Pearson correlation", "bounded"),
    # clustering
    "silhouette": Column("Silhouette", "mean silhouette width", "bounded"),
    "gap": Column("Gap", "gap statistic"),
    "gap_error": Column("SE of gap", "simulation error of the gap statistic"),
    "stability": Column("Stability", "mean bootstrap Jaccard similarity of the least stable group", "bounded"),
    "std_mean": Column("z", "mean in standard deviations from the mean of all respondents"),
    "effect_size": Column("Effect", "effect size, named in the note"),
    "hidden": Column("Hidden", "the row is hidden to protect people", "flag"),
}

GLANCE: dict[str, Column] = {
    "n": TIDY["n"],
    "n_dropped": Column("Left out", "respondents left out because an answer is missing", "count"),
    "n_items": TIDY["n_items"],
    "n_groups": Column("Groups", "groups, departments or clusters", "count"),
    "k": TIDY["k"],
    "estimate": TIDY["estimate"],
    "conf_low": TIDY["conf_low"],
    "conf_high": TIDY["conf_high"],
    "conf_level": Column("Level", "confidence level of the intervals", "share"),
    "std_error": TIDY["std_error"],
    "statistic": TIDY["statistic"],
    "df": TIDY["df"],
    "df_residual": Column("df (residual)", "residual degrees of freedom", "df"),
    "p_value": TIDY["p_value"],
    "r_squared": Column("R²", "share of variance explained", "bounded"),
    "adj_r_squared": Column("Adjusted R²", "share of variance explained, adjusted for the number of terms", "bounded"),
    "sigma": Column("Residual SD", "residual standard deviation"),
    "log_likelihood": Column("log likelihood", "log likelihood at the estimates"),
    "aic": Column("AIC", "Akaike's information criterion"),
    "bic": Column("BIC", "Bayesian information criterion"),
    "alpha": TIDY["alpha"],
    "omega": TIDY["omega"],
    "silhouette": TIDY["silhouette"],
    "stability": TIDY["stability"],
    "share": TIDY["share"],
    "response": TIDY["response"],
    "missing_share": TIDY["missing_share"],
    "verdict": TIDY["verdict"],
    "covariance": Column("Errors", "how standard errors are computed", "text"),
    "missing": Column("Missing answers", "how missing answers are handled", "text"),
    "scoring": Column("Scoring", "how answers become scores", "text"),
}

AUGMENT: dict[str, Column] = {
    ".fitted": Column("Fitted", "value the model expects"),
    ".resid": Column("Residual", "observed minus fitted"),
    ".hat": Column("Leverage", "how far a respondent's predictors lie from the rest", "bounded"),
    ".cluster": Column("Segment", "segment the respondent is assigned to", "text"),
    ".distance": Column("Distance", "distance to the centre of the segment"),
}

# Columns whose values are names of variables or segments; readers see the label instead.
NAMES = frozenset({"term", "other_term", "outcome", "scale", "segment"})
