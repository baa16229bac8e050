# Writes design.json: survey estimates of R survey (4.1-1) for design.csv (simulated here, seed 31) and, where they are at
# hand, for the api data of the package (not kept here: GPL).
# Run: Rscript tests/reference/design.R [FOLDER WITH apiclus1.csv ...]
suppressMessages({library(survey); library(jsonlite)})
options(survey.lonely.psu = "fail")
folder <- commandArgs(trailingOnly = TRUE)[1]

set.seed(31)
units <- c("Sales", "IT", "Logistics", "Finance", "HR"); heads <- c(240, 180, 150, 90, 60)
pop <- data.frame(unit = rep(units, heads))
pop$grade <- sample(c("staff", "lead", "head"), nrow(pop), TRUE, c(.7, .2, .1))
pop$site <- sample(c("north", "south"), nrow(pop), TRUE)
pop$team <- paste0(substr(pop$unit, 1, 2), ave(seq_len(nrow(pop)), pop$unit, FUN = function(i) (seq_along(i) - 1) %/% 15 + 1))
pop$use <- round(3 + .5 * (pop$grade != "staff") + rep(rnorm(length(unique(pop$team)), 0, .3), table(factor(pop$team, unique(pop$team)))) +
                 rnorm(nrow(pop)), 3)
pop$posts <- rpois(nrow(pop), exp(.4 * pop$use)); pop$days <- 1 + rpois(nrow(pop), 8)
pop$weight0 <- round(runif(nrow(pop), 1, 3), 2)
sample_rows <- sort(sample(nrow(pop), 260, prob = .2 + .3 * (pop$grade != "staff") + .2 * (pop$site == "north")))
d <- pop[sample_rows, ]
d$use[sample(nrow(d), 12)] <- NA
d$active <- as.integer(d$posts > 4)
d$n_unit <- heads[match(d$unit, units)]
teams <- tapply(pop$team, pop$unit, function(t) length(unique(t)))
d$n_teams <- as.vector(teams[d$unit]); d$n_all <- nrow(pop)
d$n_team <- as.vector(table(pop$team)[d$team])
d$n_all_teams <- sum(teams); d$in_two <- as.integer(table(d$team)[d$team] > 1)
write.csv(d, "tests/reference/design.csv", row.names = FALSE, quote = FALSE)

num <- function(x) as.numeric(x)
mean_of <- function(f, design, ...) {
  m <- svymean(f, design, na.rm = TRUE, deff = TRUE, ...)
  complete <- rowSums(is.na(design$variables[all.vars(f)])) == 0
  k <- degf(if (all(complete)) design else design[complete, ])
  r <- svymean(f, design, na.rm = TRUE, deff = "replace")
  ci <- confint(m, df = k)
  list(estimate = num(coef(m)), se = num(SE(m)), vcov = num(vcov(m)), low = num(ci[, 1]), high = num(ci[, 2]), df = k,
       deff = num(deff(m)), deff_replace = num(deff(r)))
}
prop_of <- function(f, design) {
  l <- svyciprop(f, design, method = "logit"); m <- svyciprop(f, design, method = "mean")
  list(estimate = num(coef(m)), se = num(SE(m)), logit = num(attr(l, "ci")), mean = num(attr(m, "ci")), df = degf(design))
}
total_of <- function(f, design) { t <- svytotal(f, design, na.rm = TRUE); list(estimate = num(coef(t)), se = num(SE(t))) }
ratio_of <- function(a, b, design) { r <- svyratio(a, b, design, na.rm = TRUE); list(estimate = num(coef(r)), se = num(SE(r))) }
by_of <- function(f, by, design) {
  b <- svyby(f, by, design, svymean, na.rm = TRUE, vartype = "se")
  groups <- as.character(b[[1]])
  list(group = groups, estimate = num(coef(b)), se = num(SE(b)),
       df = sapply(groups, function(g) degf(subset(design, design$variables[[all.vars(by)]] == g))))
}
margin <- function(name) setNames(as.data.frame(table(pop[[name]])), c(name, "Freq"))
counts <- function(name) as.list(table(pop[[name]]))
tight <- list(maxit = 5000, epsilon = 1e-13)

srs <- svydesign(id = ~1, data = d, weights = ~weight0)
census <- svydesign(id = ~1, data = d, fpc = ~n_all)
strat <- svydesign(id = ~1, strata = ~unit, data = d, fpc = ~n_unit)
clus <- svydesign(id = ~team, strata = ~unit, data = d, weights = ~weight0, nest = TRUE)
clusf <- svydesign(id = ~team, strata = ~unit, data = d, weights = ~weight0, fpc = ~n_teams, nest = TRUE)
two <- svydesign(id = ~team + one_id, data = subset(transform(d, one_id = seq_len(nrow(d))), in_two == 1), fpc = ~n_all_teams + n_team)
raked <- rake(census, list(~unit, ~grade, ~site), list(margin("unit"), margin("grade"), margin("site")), control = tight)
raked_base <- rake(srs, list(~unit, ~grade, ~site), list(margin("unit"), margin("grade"), margin("site")), control = tight)
raked_clus <- rake(clusf, list(~unit, ~grade), list(margin("unit"), margin("grade")), control = tight)
post <- postStratify(census, ~grade, margin("grade"))
post_base <- postStratify(srs, ~unit, margin("unit"))
cells <- setNames(as.data.frame(table(pop$grade, pop$site)), c("grade", "site", "Freq"))
post_cells <- postStratify(census, ~grade + site, cells)
trimmed <- trimWeights(raked_base, upper = 2 * mean(weights(raked_base)), strict = TRUE)
lonely <- d; lonely$stratum <- ifelse(seq_len(nrow(d)) == 7, "alone", d$unit)
adjust <- svydesign(id = ~1, strata = ~stratum, data = lonely, weights = ~weight0)

designs <- list(srs = srs, census = census, strat = strat, clus = clus, clusf = clusf, two = two, raked = raked, raked_base = raked_base,
                raked_clus = raked_clus, post = post, post_base = post_base, post_cells = post_cells)
out <- lapply(designs, function(s) list(weights = num(weights(s)), mean = mean_of(~use + posts, s), total = total_of(~posts + days, s),
  ratio = ratio_of(~posts, ~days, s), prop = prop_of(~active, s), by = by_of(~use, ~grade, s)))
options(survey.lonely.psu = "adjust")
out$adjust <- list(weights = num(weights(adjust)), mean = mean_of(~use + posts, adjust))
options(survey.lonely.psu = "fail")
counted <- with(d, table(unit)); asked <- table(pop$unit)[names(counted)]
test <- chisq.test(rbind(counted, asked - counted), correct = FALSE)
out$extra <- list(trimmed = num(weights(trimmed)), chisq = list(statistic = num(test$statistic), df = num(test$parameter), p = test$p.value),
                  unit = counts("unit"), grade = counts("grade"), site = counts("site"),
                  cells = lapply(seq_len(nrow(cells)), function(i) list(grade = as.character(cells$grade[i]), site = as.character(cells$site[i]), headcount = cells$Freq[i])))

if (!is.na(folder)) {
  api <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
  c1 <- api("apiclus1"); c2 <- api("apiclus2"); st <- api("apistrat"); f <- api("fpc"); population <- api("apipop")
  for (name in c("c1", "c2", "st")) {x <- get(name); x$awarded <- as.integer(x$awards == "Yes"); assign(name, x)}
  dclus1 <- svydesign(id = ~dnum, weights = ~pw, data = c1, fpc = ~fpc)
  dclus2 <- svydesign(id = ~dnum + snum, fpc = ~fpc1 + fpc2, data = c2)
  dstrat <- svydesign(id = ~1, strata = ~stype, weights = ~pw, data = st, fpc = ~fpc)
  mar <- function(v) setNames(as.data.frame(table(population[[v]])), c(v, "Freq"))
  sch <- data.frame(sch.wide = c("No", "Yes"), Freq = c(1072, 5122)); sty <- data.frame(stype = c("E", "H", "M"), Freq = c(4421, 755, 1018))
  rclus1 <- rake(dclus1, list(~stype, ~sch.wide), list(sty, sch), control = tight)
  pclus1 <- postStratify(dclus1, ~stype, sty)
  rstrat <- rake(dstrat, list(~stype, ~sch.wide), list(sty, sch), control = tight)
  one <- function(s) list(weights = if (!is.null(s$postStrata)) num(weights(s)), mean = mean_of(~api00 + api99, s), total = total_of(~enroll, s), ratio = ratio_of(~api.stu, ~enroll, s),
    prop = prop_of(~awarded, s), by = by_of(~api00, ~stype, s))
  out$api <- lapply(list(apiclus1 = dclus1, apistrat = dstrat, apiclus2 = dclus2, raked_apiclus1 = rclus1, post_apiclus1 = pclus1, raked_apistrat = rstrat), one)
  dfpc <- svydesign(id = ~psuid, strata = ~stratid, weights = ~weight, data = f, nest = TRUE)
  dfpc2 <- svydesign(id = ~psuid, strata = ~stratid, weights = ~weight, data = f, nest = TRUE, fpc = ~Nh)
  out$api$fpc <- list(without = mean_of(~x, dfpc), with = mean_of(~x, dfpc2))
}
write_json(out, "tests/reference/design.json", digits = 17, auto_unbox = TRUE)
