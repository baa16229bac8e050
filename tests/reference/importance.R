# Importance of predictors by brute force: what each adds to R2 in every order they can enter, with stats::lm.
# usage: Rscript tests/reference/importance.R   (writes importance.csv and importance.json beside itself)
suppressMessages(library(jsonlite))

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
set.seed(41)
n <- 120
people <- data.frame(common = rnorm(n))
people$leadership <- round(0.7 * people$common + rnorm(n), 3)
people$readiness <- round(0.6 * people$common + rnorm(n), 3)
people$usefulness <- round(0.3 * people$common + rnorm(n), 3)
people$concerns <- round(-0.4 * people$common + rnorm(n), 3)
people$site <- sample(c("North", "South", "West"), n, replace = TRUE)
people$role <- sample(c("Staff", "Lead", "Manager"), n, replace = TRUE)
people$weight <- round(runif(n, 0.3, 3), 3)
people$adoption <- with(people, round(0.5 * leadership + 0.3 * readiness + 0.1 * usefulness + 0.3 * (site == "South") +
                                      0.4 * (role == "Lead") + rnorm(n), 3))
people$common <- NULL
write.csv(people, file.path(here, "importance.csv"), row.names = FALSE)

r_squared <- function(terms, weights) {
  formula <- reformulate(if (length(terms)) terms else "1", "adoption")
  environment(formula) <- environment()
  summary(lm(formula, people, weights = weights))$r.squared
}

permutations <- function(values) {
  if (length(values) < 2) return(list(values))
  unlist(lapply(seq_along(values), function(i) lapply(permutations(values[-i]), function(rest) c(values[i], rest))),
         recursive = FALSE)
}

by_orders <- function(drivers, controls = character(), weights = rep(1, n)) {
  known <- new.env()
  cached <- function(terms) {
    key <- paste0("_", paste(sort(terms), collapse = "+"))
    if (is.null(known[[key]])) known[[key]] <- r_squared(c(controls, terms), weights)
    known[[key]]
  }
  orders <- permutations(drivers)
  added <- sapply(drivers, function(driver) sapply(orders, function(order) {
    place <- match(driver, order)
    cached(order[seq_len(place)]) - cached(order[seq_len(place - 1)])
  }))
  size <- sapply(drivers, function(driver) sapply(orders, function(order) match(driver, order) - 1))
  conditional <- t(sapply(drivers, function(driver) tapply(added[, driver], size[, driver], mean)))
  list(lmg = unname(colMeans(added)), conditional = unname(conditional), full = cached(drivers),
       none = r_squared(controls, weights))
}

numbers <- c("leadership", "readiness", "usefulness", "concerns")
write_json(list(
  R = R.version.string,
  plain = by_orders(numbers),
  weighted = by_orders(numbers, weights = people$weight),
  controlled = by_orders(numbers, "site"),
  grouped = by_orders(c(numbers[1:3], "role"), "site", people$weight)
), file.path(here, "importance.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
