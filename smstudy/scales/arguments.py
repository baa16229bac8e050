"""What functions are asked for, checked at their door: numbers, names and words that are none are refused by name."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real

from smstudy.display.prose import join_words
from smstudy.errors import DataError
from smstudy.survey.dataset import kind_of

LEAST_BOOT = 100


def check_level(conf_level: object) -> None:
    """Refuse a confidence level that is none.

    >>> check_level("95%")
    Traceback (most recent call last):
    smstudy.errors.DataError: conf_level = "95%" is no level. Use a number between 0 and 1, such as 0.95.
    """
    if not _is_number(conf_level) or not 0 < conf_level < 1:
        raise DataError(f"conf_level = {_written(conf_level)} is no level. Use a number between 0 and 1, such as 0.95.")


def check_resamples(n_boot: object) -> None:
    """Refuse a number of resamples that is none, or too few for an interval."""
    if not _is_whole(n_boot):
        raise DataError(
            f"n_boot = {_written(n_boot)} is no number of resamples. Use {LEAST_BOOT} or more, such as 2000."
        )
    if n_boot < LEAST_BOOT:
        raise DataError(f"n_boot = {n_boot} is too few for an interval. Use {LEAST_BOOT} resamples or more.")


def check_seed(seed: object) -> None:
    """Refuse a seed that is no whole number from 0."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise DataError(f"seed = {_written(seed)} is no seed. Use a whole number from 0, such as 1.")


def check_options(options: object) -> None:
    """Refuse a number of answers that is none."""
    if not _is_whole(options) or options < 2:
        raise DataError(f"options = {_written(options)} is no number of answers. Use a whole number from 2, such as 5.")


def check_number_of_factors(n_factors: object) -> None:
    """Refuse a number of factors that is no whole number from 1."""
    if not isinstance(n_factors, Integral) or isinstance(n_factors, bool) or n_factors < 1:
        raise DataError(
            f"n_factors = {_written(n_factors)} is no number of factors. Use a whole number from 1, such as 3."
        )


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse a word that is not among those allowed."""
    words = list(allowed)
    if value not in words:
        either = join_words([_written(word) for word in words], "or")
        raise DataError(f"{name} = {_written(value)} is not known. Use {either}.")


def check_word(name: str, value: object, example: str) -> None:
    """Refuse what is not one name, such as a list of names."""
    if not isinstance(value, str):
        raise DataError(f'{name} needs one name, such as {name}="{example}"; this is {kind_of(value)}.')


def check_words(name: str, values: object) -> None:
    """Refuse what is neither a name nor several of them."""
    several = isinstance(values, Iterable) and all(isinstance(each, str) for each in values)
    if not several:
        raise DataError(f'{name} needs names, such as {name}=["trust", "worry"]; this is {kind_of(values)}.')


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return _is_number(value) and float(value).is_integer()


def _written(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"
