"""Rules that turn a number into a word, each with its source. The words are conventions, not laws."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Words for ranges of a number.

    Attributes
    ----------
    name : str
        What the rule is about.
    cuts : tuple of float
        Rising limits; a value on a limit belongs to the range above it.
    words : tuple of str
        One more word than limits.
    source : str
        Who proposed it.

    Examples
    --------
    >>> RELIABILITY.read(0.83)
    'good'
    """

    name: str
    cuts: tuple[float, ...]
    words: tuple[str, ...]
    source: str

    def read(self, value: float) -> str:
        """Give the word for a value; nothing can be said about a missing one."""
        return "cannot tell" if value != value else self.words[bisect_right(self.cuts, value)]


RELIABILITY = Rule(
    "reliability",
    (0.60, 0.70, 0.80, 0.95),
    ("too weak to use alone", "weak", "acceptable", "good", "very high: items repeat each other"),
    "Nunnally & Bernstein (1994), Psychometric Theory; top: Streiner (2003), J. Personality Assessment 80, 99-103",
)
STANDARDIZED = Rule(
    "standardized coefficient",
    (0.10, 0.20, 0.30),
    ("negligible", "small", "medium", "large"),
    "Gignac & Szodorai (2016), Personality and Individual Differences 102, 74-78, for correlations",
)
COLLINEARITY = Rule(
    "variance inflation",
    (5.0, 10.0),
    ("unproblematic", "high: drivers overlap", "very high: drivers cannot be told apart"),
    "O'Brien (2007), Quality & Quantity 41, 673-690, who warns against using it mechanically",
)
STABILITY = Rule(
    "cluster stability",
    (0.60, 0.75, 0.85),
    ("dissolves", "a pattern, no clear group", "stable", "highly stable"),
    "Hennig (2007), Computational Statistics & Data Analysis 52, 258-271",
)
EFFECT = Rule(
    "standardized difference",
    (0.20, 0.50, 0.80),
    ("negligible", "small", "medium", "large"),
    "Cohen (1988), Statistical Power Analysis, chapter 2",
)
DOMINANCE = Rule(
    "Cliff's delta",
    (0.147, 0.330, 0.474),
    ("negligible", "small", "medium", "large"),
    "Romano, Kromrey, Coraggio & Skowronek (2006), Florida Association of Institutional Research: from Cohen's d",
)
ITEM_REST = Rule(
    "item-rest correlation",
    (0.30,),
    ("weak", "sufficient"),
    "Nunnally & Bernstein (1994), Psychometric Theory, chapter 8",
)
SHORT_FORM = Rule(
    "correlation of a score with the one that lacks an item",
    (0.95,),
    ("the score changes", "hardly a difference"),
    "own convention: 90 % of the variance are the same",
)
ONE_FACTOR = Rule(
    "misfit of one factor (RMSEA)",
    (0.05, 0.08, 0.10),
    ("close fit", "fair fit", "mediocre fit", "poor fit"),
    "MacCallum, Browne & Sugawara (1996), Psychological Methods 1, 130-149",
)
WITHIN_GROUP = Rule(
    "agreement within groups, rWG(J)",
    (0.31, 0.51, 0.71, 0.91),
    ("no agreement", "weak agreement", "moderate agreement", "strong agreement", "very strong agreement"),
    "LeBreton & Senter (2008), Organizational Research Methods 11, 815-852, table 3",
)
AGREED = Rule(
    "enough agreement to average a group, median rWG(J)",
    (0.70,),
    ("members do not agree", "members agree"),
    "James, Demaree & Wolf (1984), J. Applied Psychology 69, 85-98; LeBreton & Senter (2008)",
)
GROUP_MEANS = Rule(
    "reliability of group means, ICC(2)",
    (0.60,),
    ("too unreliable to compare groups", "reliable enough to compare groups"),
    "Glick (1985), Academy of Management Review 10, 601-616",
)
RETEST = Rule(
    "test-retest correlation, ICC",
    (0.50, 0.75, 0.90),
    ("poor", "moderate", "good", "excellent"),
    "Koo & Li (2016), J. Chiropractic Medicine 15, 155-163, who read the interval, not the estimate",
)
GENERAL_FACTOR = Rule(
    "hierarchical omega of a total score",
    (0.50, 0.75),
    ("too low for one total score", "enough for a total score read with care", "one total score says most of it"),
    "Reise, Bonifay & Haviland (2013), J. Personality Assessment 95, 129-140",
)
COMPARATIVE_FIT = Rule(
    "comparative fit (CFI, TLI)",
    (0.90, 0.95),
    ("poor fit", "fair fit", "close fit"),
    "Hu & Bentler (1999), Structural Equation Modeling 6, 1-55; 0.90: Bentler & Bonett (1980)",
)
RESIDUAL_FIT = Rule(
    "residual correlations left over (SRMR)",
    (0.08,),
    ("close fit", "poor fit"),
    "Hu & Bentler (1999), Structural Equation Modeling 6, 1-55",
)
LOADING = Rule(
    "standardized loading",
    (0.40, 0.70),
    ("weak", "acceptable", "strong"),
    "Stevens (2009), Applied Multivariate Statistics, chapter 11; 0.70, half of the variance: Hair et al. (2019)",
)
INFORMATION = Rule(
    "difference of BIC",
    (2.0, 6.0, 10.0),
    ("not worth a mention", "positive", "strong", "very strong"),
    "Raftery (1995), Sociological Methodology 25, 111-163",
)
SAMPLING = Rule(
    "sampling adequacy (KMO)",
    (0.50, 0.60, 0.70, 0.80, 0.90),
    ("unacceptable", "miserable", "mediocre", "middling", "meritorious", "marvelous"),
    "Kaiser & Rice (1974), Educational and Psychological Measurement 34, 111-117",
)
PATTERN = Rule(
    "loading in an exploratory factor analysis",
    (0.30,),
    ("too low to count", "counts"),
    "Nunnally & Bernstein (1994), Psychometric Theory, chapter 12",
)
CONVERGENCE = Rule(
    "average variance extracted",
    (0.50,),
    ("items share too little", "items share enough"),
    "Fornell & Larcker (1981), J. Marketing Research 18, 39-50",
)
DISCRIMINATION = Rule(
    "heterotrait-monotrait ratio (HTMT, HTMT2)",
    (0.85, 0.90),
    ("two things", "cannot tell", "not shown to be two things"),
    "Henseler, Ringle & Sarstedt (2015), J. Academy of Marketing Science 43, 115-135: 0.85 for different concepts, "
    "0.90 for close ones",
)
CFI_CHANGE = Rule(
    "change of CFI from one step of invariance to the next, more than 300 respondents",
    (-0.010,),
    ("fits worse", "fits about as well"),
    "Cheung & Rensvold (2002), Structural Equation Modeling 9, 233-255; Chen (2007), ibid. 14, 464-504",
)
RMSEA_CHANGE = Rule(
    "change of RMSEA from one step of invariance to the next, more than 300 respondents",
    (0.015,),
    ("fits about as well", "fits worse"),
    "Chen (2007), Structural Equation Modeling 14, 464-504, beside the change of CFI",
)
CFI_CHANGE_FEW = Rule(
    "change of CFI from one step of invariance to the next, up to 300 respondents",
    (-0.005,),
    ("fits worse", "fits about as well"),
    "Chen (2007), Structural Equation Modeling 14, 464-504",
)
RMSEA_CHANGE_FEW = Rule(
    "change of RMSEA from one step of invariance to the next, up to 300 respondents",
    (0.010,),
    ("fits about as well", "fits worse"),
    "Chen (2007), Structural Equation Modeling 14, 464-504, beside the change of CFI",
)
ITEM_SLOPE = Rule(
    "discrimination of an item in a graded response model",
    (0.35, 0.65, 1.35, 1.70),
    ("tells hardly anything", "tells little", "tells apart moderately", "tells apart well", "tells apart very well"),
    "Baker & Kim (2017), The Basics of Item Response Theory Using R, chapter 2",
)
FUNCTIONING = Rule(
    "change of Nagelkerke's R² by group",
    (0.035, 0.070),
    ("negligible", "moderate", "large"),
    "Jodoin & Gierl (2001), Applied Measurement in Education 14, 329-349",
)
