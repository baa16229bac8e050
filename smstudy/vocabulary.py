"""Every column a result may use: its heading, its meaning, and how its values are written.

A result that needs a new column adds one line here; `tests/test_contract.py` refuses any other.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["text", "number", "change", "bounded", "count", "share", "p_value", "df", "flag"]


class Column(NamedTuple):
    """One column of a table.

    `kind` decides how values are written: `number` two decimals, `change` more where two would show nothing,
    `bounded` two decimals without the leading zero (it cannot exceed 1), `count` whole, `share` as a percentage,
    `p_value` as APA 7 has it, `df` up to one decimal.
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
    "answer": Column("Answer", "answer as the questionnaire words it", "text"),
    "statement": Column("Statement", "hypothesis in words", "text"),
    "verdict": Column("Verdict", "what the data allow to say", "text"),
    "reason": Column("Reason", "why, in words", "text"),
    "reading": Column("Reading", "the number in plain words, by a named rule", "text"),
    "rule": Column("Rule", "cleaning rule or decision rule", "text"),
    "stage": Column("Stage", "step of cleaning the rule belongs to", "text"),
    "comment": Column("Comment", "open answer, scrubbed of what identifies people", "text"),
    "result": Column("Result", "stored result the row is about", "text"),
    "defect": Column("Defect", "what is often wrong with exports, by its number in the list", "text"),
    "level": Column("Level", "what the defect is one of: file, row or cell", "text"),
    "action": Column("Action", "what the rule does to the answers it hits", "text"),
    "method": Column("Method", "how missing answers are imputed", "text"),
    "missing_terms": Column("Missing", "variables without an answer", "text"),
    "status": Column("What changed", "kind of difference between two versions of a questionnaire", "text"),
    "old": Column("Old", "as it was, by the codebook or the previous wave", "text"),
    "new": Column("New", "as it is in this wave", "text"),
    "repair": Column("What to do", "line to write, or what to decide", "text"),
    # counts and shares
    "n": Column("n", "respondents", "count"),
    "n_without": Column("n without", "respondents with the flagged left out", "count"),
    "n_previous": Column("n before", "respondents in the previous wave", "count"),
    "n_linked": Column("n linked", "respondents found in both waves", "count"),
    "n_items": Column("Items", "items of the scale", "count"),
    "n_before": Column("Before", "respondents before the rule", "count"),
    "n_hit": Column("Hit", "respondents the rule applies to", "count"),
    "n_hit_previous": Column("Hit before", "respondents the rule applied to in the previous wave", "count"),
    "n_removed": Column("Removed", "respondents this rule removed first", "count"),
    "n_after": Column("After", "respondents left after the rule", "count"),
    "n_frame": Column("Head count", "people in the group by the head-count frame", "count"),
    "n_imputed": Column("Imputed", "respondents whose missing answer is imputed", "count"),
    "n_predictors": Column("Predictors", "columns an imputation predicts from", "count"),
    "k": Column("Groups", "number of groups tried", "count"),
    "share": Column("Share", "share of respondents", "share"),
    "share_previous": Column("Share before", "share of respondents in the previous wave", "share"),
    "response": Column("Response", "respondents per head count", "share"),
    "share_frame": Column("Share of people", "share of the people in the head counts", "share"),
    "representativity": Column(
        "R-indicator",
        "1 if the response of groups differs no more than by chance, lower the more it differs",
        "bounded",
    ),
    "weight_mean": Column("Mean weight", "people each respondent of the group stands for, on average"),
    "missing_share": Column("Missing", "share of answers that are missing", "share"),
    # estimates
    "estimate": Column("Estimate", "the estimate"),
    "estimate_without": Column("Without flagged", "the estimate with the flagged left out"),
    "std_estimate": Column("Beta", "estimate in standard deviations of outcome and predictor"),
    "odds_ratio": Column("Odds ratio", "factor by which the odds change for one unit more"),
    "std_error": Column("SE", "standard error of the estimate"),
    "statistic": Column("Statistic", "test statistic: t, z, F or chi-squared as the note says"),
    "df": Column("df", "degrees of freedom", "df"),
    "p_value": Column("p", "probability of a statistic at least as extreme if there is no effect", "p_value"),
    "p_adjusted": Column("p (corrected)", "p after correction for the number of tests on the page", "p_value"),
    "conf_low": Column("CI low", "lower end of the confidence interval"),
    "conf_high": Column("CI high", "upper end of the confidence interval"),
    "unweighted": Column("Unweighted", "estimate if every respondent counts the same"),
    "shift": Column("Shift", "weighted minus unweighted estimate", "change"),
    "deff": Column("Design effect", "variance relative to that of a simple random sample, or of equal weights"),
    "n_effective": Column(
        "Effective n",
        "respondents a simple random sample of the same precision has; missing if above n unexplained",
        "df",
    ),
    "difference": Column("Change", "this wave minus the previous one, or as the note says", "change"),
    "previous": Column("Before", "estimate in the previous wave"),
    "threshold": Column("Cut-off", "value from which the rule speaks"),
    "threshold_previous": Column("Cut-off before", "value from which the rule spoke in the previous wave"),
    "vif": Column("VIF", "variance inflation factor"),
    "riv": Column("RIV", "relative increase in variance due to missing answers"),
    "fmi": Column("FMI", "fraction of information that is missing", "bounded"),
    "r_hat": Column("R-hat", "spread of all chains of imputations relative to that within one; near 1 they agree"),
    "complete_estimate": Column("Not imputed", "estimate from the answers given, without imputation"),
    "complete_low": Column("Not imputed, CI low", "lower end of the interval without imputation"),
    "complete_high": Column("Not imputed, CI high", "upper end of the interval without imputation"),
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
    "m": Column("Imputations", "how often missing answers were filled in", "count"),
    "n_complete": Column("Complete", "respondents with all answers", "count"),
    "n_patterns": Column("Patterns", "different combinations of missing answers", "count"),
    "monotone": Column("Nested", "whether whoever lacks one answer lacks all that are missing more often", "text"),
    "ratio": Column("chi²/df", "chi-squared divided by its degrees of freedom"),
    "effect_size": TIDY["effect_size"],
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
    "deff": TIDY["deff"],
    "n_effective": TIDY["n_effective"],
    "weight_low": Column("Smallest weight", "weight that all but a few respondents reach"),
    "weight_high": Column("Largest weight", "weight that only a few respondents exceed"),
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
