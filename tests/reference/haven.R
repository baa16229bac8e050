# What R haven reads from labelled files: values, value labels, labels of variables, missing codes.
# Usage: Rscript tests/reference/haven.R   (from the root of the repository)
# Writes tests/survey/fixtures/labelled.{sav,zsav,dta} and tests/reference/haven.json.

library(haven)
library(jsonlite)

fixtures <- "tests/survey/fixtures"
agree <- c("disagree" = 1, "neither" = 2, "agree" = 3)

spss <- data.frame(
  id = c("R_1", "R_2", "R_3", "R_4"),
  q1 = labelled_spss(c(1, 3, -9, NA), c(agree, refused = -9), na_values = -9, label = "Es hilft mir täglich"),
  age = labelled_spss(c(34.5, 2500, 0.1, 61), na_range = c(2000, 3000), label = "Age in years"),
  site = labelled_spss(c("Köln", "X", "Zürich", ""), c("not told" = "X"), na_values = "X", label = "Site"),
  day = as.Date(c("2026-03-01", NA, "2026-03-02", "1999-12-31")),
  at = as.POSIXct(c("2026-03-01 08:30:00", NA, "2026-03-02 00:00:00", "1999-12-31 23:59:59"), tz = "UTC"),
  check.names = FALSE
)
write_sav(spss, file.path(fixtures, "labelled.sav"))
write_sav(spss, file.path(fixtures, "labelled.zsav"), compress = "zsav")

stata <- data.frame(
  id = c("R_1", "R_2", "R_3", "R_4"),
  q1 = labelled(c(1, 3, tagged_na("a"), NA), c(agree, refused = tagged_na("a")), label = "Es hilft mir täglich"),
  age = c(34.5, 2500, 0.1, tagged_na("z")),
  site = c("Köln", "NA", "Zürich", ""),
  day = as.Date(c("2026-03-01", NA, "2026-03-02", "1999-12-31")),
  at = as.POSIXct(c("2026-03-01 08:30:00", NA, "2026-03-02 00:00:00", "1999-12-31 23:59:59"), tz = "UTC")
)
write_dta(stata, file.path(fixtures, "labelled.dta"), version = 14)

# Every cell as a person would type it; extended missing values the way Stata writes them.
as_typed <- function(x) {
  if (inherits(x, "Date")) return(ifelse(is.na(x), "", format(x)))
  if (inherits(x, "POSIXct")) {
    text <- format(x, "%Y-%m-%d %H:%M:%S", tz = "UTC")
    return(ifelse(is.na(x), "", sub(" 00:00:00$", "", text)))
  }
  if (is.character(x)) return(ifelse(is.na(x), "", as.character(x)))
  tag <- na_tag(as.double(x))
  ifelse(!is.na(tag), paste0(".", tag), ifelse(is.na(x), "", format(as.double(x), digits = 15, trim = TRUE, drop0trailing = TRUE)))
}
each <- function(x) vapply(seq_along(x), function(i) as_typed(x[i]), "")
read <- function(frame) {
  lapply(frame, function(x) list(
    cells = each(unclass_labels(x)),
    label = if (is.null(attr(x, "label"))) "" else attr(x, "label"),
    choices = if (is.null(attr(x, "labels"))) setNames(list(), character()) else
      as.list(setNames(names(attr(x, "labels")), each(unname(attr(x, "labels"))))),
    na_values = if (is.null(attr(x, "na_values"))) list() else as.list(each(attr(x, "na_values"))),
    na_range = if (is.null(attr(x, "na_range"))) list() else as.list(attr(x, "na_range"))
  ))
}
unclass_labels <- function(x) if (inherits(x, "haven_labelled")) zap_labels(zap_missing_off(x)) else x
zap_missing_off <- function(x) { attr(x, "na_values") <- NULL; attr(x, "na_range") <- NULL; class(x) <- setdiff(class(x), "haven_labelled_spss"); x }

answer <- list(
  haven = as.character(packageVersion("haven")),
  sav = read(read_sav(file.path(fixtures, "labelled.sav"), user_na = TRUE)),
  zsav = read(read_sav(file.path(fixtures, "labelled.zsav"), user_na = TRUE)),
  dta = read(read_dta(file.path(fixtures, "labelled.dta")))
)
write_json(answer, "tests/reference/haven.json", auto_unbox = TRUE, pretty = TRUE)
