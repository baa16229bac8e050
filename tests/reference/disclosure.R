# Reference counts for survey/disclosure.py: psych::bfi by gender, education and age band.
# Rscript tests/reference/disclosure.R   (needs psych, jsonlite; run from the repository root)
# Writes disclosure.csv (numbers of people) and disclosure.json (cells, and people in cells below k).
# Bands are closed on the left; who states no education is a group.
suppressPackageStartupMessages({library(psych); library(jsonlite)})
here <- "tests/reference"
band <- cut(bfi$age, c(0, 18, 25, 35, 45, 55, 65, 100), right = FALSE,
            labels = c("below 18", "18-24", "25-34", "35-44", "45-54", "55-64", "65 and above"))
education <- ifelse(is.na(bfi$education), "not stated", as.character(bfi$education))
cells <- as.data.frame(table(gender = bfi$gender, education = education, band = band))
write.csv(cells, file.path(here, "disclosure.csv"), row.names = FALSE, quote = FALSE)
people <- cells$Freq[cells$Freq > 0]
below <- sapply(c(2, 3, 5, 10), function(k) sum(people[people < k]))
write_json(list(cells = length(people), k = c(2, 3, 5, 10), people_below = below, n = sum(people)),
           file.path(here, "disclosure.json"), auto_unbox = TRUE, pretty = TRUE)
