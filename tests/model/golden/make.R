# The designs that R makes of the formulas below: model.matrix, lme4::lFormula and brms::make_standata.
# Run in this folder: Rscript make.R. It writes designs.json, which the tests read; they need no R.
suppressPackageStartupMessages({
  library(jsonlite)
  library(lme4)
  library(brms)
  library(splines)
})
invisible(Sys.setlocale("LC_COLLATE", "C"))
set.seed(20240607)

n <- 24
data <- data.frame(
  y = round(rnorm(n, 10, 3), 2),
  x = round(rnorm(n, 2, 1.5), 2),
  z = round(runif(n, 0.5, 9), 2),
  k = sample(1:5, n, replace = TRUE),
  u = round(runif(n, 1, 3) * 10, 0) / 10,
  f = sample(rep(c("lo", "mid", "hi"), 8)),
  h = sample(rep(c("n", "e", "s", "w"), 6)),
  d = sample(rep(c("off", "on"), 12)),
  b = sample(rep(c(TRUE, FALSE), 12)),
  g = rep(sprintf("g%d", 1:6), each = 4),
  q = sample(rep(c("q1", "q2", "q3", "q4"), 6)),
  s = rep(1:4, 6),
  school = rep(c("A", "B", "C"), each = 8),
  class = rep(rep(c("c1", "c2"), each = 4), 3),
  hits = rbinom(n, 8, 0.4),
  size = rep(8L, n),
  stringsAsFactors = FALSE
)
data[["my var"]] <- round(rnorm(n), 2)
data[["Größe"]] <- round(rnorm(n), 2)
fresh <- data.frame(
  x = c(-6, 0.5, 2, 11), z = c(0.1, 3, 5.5, 12), k = c(1L, 2L, 3L, 5L), u = c(0.5, 1.5, 2, 4),
  f = c("hi", "lo", "mid", "hi"), h = c("w", "e", "n", "s"), d = c("on", "off", "on", "off"),
  b = c(TRUE, FALSE, TRUE, FALSE), stringsAsFactors = FALSE
)
center <- function(x) x - mean(x)

fixed <- c(
  "y ~ 1", "y ~ 0 + x", "y ~ x", "y ~ x + z", "y ~ x - 1", "y ~ -1 + x + z", "y ~ x + 0 + z", "y ~ 0 + x + 1",
  "y ~ f", "y ~ h", "y ~ b", "y ~ d", "y ~ 0 + f", "y ~ f - 1", "y ~ 0 + b", "y ~ 0 + d + f", "y ~ 0 + f + d",
  "y ~ 0 + x + f", "y ~ x + f", "y ~ f + x", "y ~ x:z", "y ~ x * z", "y ~ x + x:z", "y ~ 0 + x:z",
  "y ~ f:x", "y ~ x:f", "y ~ 0 + f:x", "y ~ f + f:x", "y ~ x + f:x", "y ~ f * x", "y ~ x * f", "y ~ 0 + f * x",
  "y ~ 0 + x * f", "y ~ f * d", "y ~ f + d", "y ~ f:d", "y ~ 0 + f:d", "y ~ f + f:d", "y ~ d + f:d", "y ~ d * f",
  "y ~ f * b", "y ~ b * x", "y ~ b:x", "y ~ 0 + b:x", "y ~ f/x", "y ~ f/d", "y ~ d/x", "y ~ x/f", "y ~ (f + x)/d",
  "y ~ d/(x + z)", "y ~ d/x/z", "y ~ f/d - 1", "y ~ 0 + d/x", "y ~ (f + d + x)^2", "y ~ (x + z + d)^3",
  "y ~ (x + z + d)^2 - x:z", "y ~ f * d * x", "y ~ f * d * x - f:d:x", "y ~ f * d - f", "y ~ f * d - d",
  "y ~ x * z - x", "y ~ f:x + d:x", "y ~ f:d + x", "y ~ x + f:d:x", "y ~ d:x:z", "y ~ x:d + d:f", "y ~ d:x + f:x + x",
  "y ~ 0 + d:x + f", "y ~ 0 + x:d + x:f", "y ~ d * x + f:x", "y ~ d + d:f + x:d", "y ~ (d + f):x", "y ~ d:(x + z)",
  "y ~ (d + x):(f + z)", "y ~ (d + x) * (f + z)", "y ~ x + z:x + f", "y ~ f + x^2", "y ~ (f + x + z)^2 - 1",
  "y ~ I(x^2)", "y ~ x + I(x^2)", "y ~ I(x * z)", "y ~ I(x/z + 1)", "y ~ I(-x)", "y ~ I(-x^2)", "y ~ I((x + z)^2)",
  "y ~ I(2 * x - z/3)", "y ~ I(x^2):f", "y ~ f * I(x - 2)", "y ~ I(1e-3 * x)", "y ~ I(100000 * x)",
  "y ~ I(1 / (1 + z))", "y ~ I(2^x)", "y ~ I(x - (z - k))", "y ~ I(2^-x)", "y ~ I(b * x)",
  "y ~ log(z)", "y ~ log(z + 1)", "y ~ log2(z) + log10(u)", "y ~ log1p(z)", "y ~ exp(x)", "y ~ expm1(x/10)",
  "y ~ sqrt(z)", "y ~ abs(x)", "y ~ log(z):f", "y ~ log(sqrt(z))", "y ~ I(log(z)^2)", "y ~ sqrt(z) * d",
  "log(y) ~ x", "I(y/100) ~ x", "sqrt(y) ~ f", "cbind(hits, size - hits) ~ x", "y ~ k", "y ~ k * f",
  "y ~ scale(x)", "y ~ center(x)", "y ~ scale(x) * f", "y ~ scale(log(z))", "y ~ I(scale(x)^2)", "y ~ center(x):center(z)",
  "y ~ poly(x, 1)", "y ~ poly(x, 2)", "y ~ poly(x, 3)", "y ~ poly(z, degree = 2)", "y ~ poly(x, 2) * d", "y ~ f:poly(x, 2)",
  "y ~ poly(log(z), 2)", "y ~ poly(x, 2) + poly(z, 2)", "y ~ 0 + poly(x, 2)", "y ~ poly(x, 2):z", "y ~ poly(x, 2):poly(z, 2)",
  "y ~ bs(x)", "y ~ bs(x, df = 5)", "y ~ bs(x, df = 4, degree = 2)", "y ~ bs(z, 5)", "y ~ bs(x, df = 4):d", "y ~ bs(x, degree = 1)",
  "y ~ ns(x)", "y ~ ns(x, df = 3)", "y ~ ns(z, df = 2) + f", "y ~ ns(x, 3):d", "y ~ ns(x, df = 4)",
  "y ~ factor(k)", "y ~ 0 + factor(k)", "y ~ factor(k):x", "y ~ factor(s) * x",
  "y ~ factor(f)", "y ~ factor(b)", "y ~ factor(d) + x:factor(d)",
  "y ~ offset(x) + z", "y ~ x + offset(log(z)) + offset(u)",
  "y ~ f + I(x + 0 * z) + x", "y ~ x + I(2 * x) + z", "y ~ x + z + I(x + z) + f", "y ~ f + d + f:d + h + h:f:d",
  "y ~ school + g", "y ~ x + I(x - 1) + I(x - 2)"
)
coded <- list(
  list("y ~ C(f)", "y ~ C(factor(f))"),
  list("y ~ C(f, sum)", "y ~ C(factor(f), contr.sum)"),
  list("y ~ C(f, helmert)", "y ~ C(factor(f), contr.helmert)"),
  list("y ~ C(h, poly)", "y ~ C(factor(h), contr.poly)"),
  list("y ~ C(factor(k), poly)", "y ~ C(factor(k), contr.poly)"),
  list("y ~ C(f, contr.sum) * x", "y ~ C(factor(f), contr.sum) * x"),
  list("y ~ 0 + C(f, sum)", "y ~ 0 + C(factor(f), contr.sum)"),
  list("y ~ C(f, sum) * C(d, sum)", "y ~ C(factor(f), contr.sum) * C(factor(d), contr.sum)"),
  list("y ~ C(f, sum):x", "y ~ C(factor(f), contr.sum):x"),
  list("y ~ C(f, treatment, ref = \"mid\")", "y ~ C(factor(f), contr.treatment(3, base = 3))"),
  list("y ~ C(h, ref = \"s\") * x", "y ~ C(factor(h), contr.treatment(4, base = 3)) * x"),
  list("y ~ C(k, ref = 3)", "y ~ C(factor(k), contr.treatment(5, base = 3))"),
  list("y ~ f %in% d", "y ~ f:d"),
  list("y ~ d + f %in% d", "y ~ d + d:f"),
  list("y ~ I((x))", "y ~ I(x)"),
  list("y ~ `my var` + x", "y ~ `my var` + x"),
  list("y ~ x:`my var`", "y ~ x:`my var`"),
  list("y ~ log(`my var` + 9)", "y ~ log(`my var` + 9)"),
  list("y ~ Größe * f", "y ~ Größe * f")
)
predicted <- c(
  "y ~ x * f", "y ~ poly(x, 3)", "y ~ bs(x, df = 5)", "y ~ bs(z, df = 4, degree = 2)", "y ~ ns(x, df = 3)", "y ~ ns(z, df = 2) * d",
  "y ~ scale(x) + scale(z)", "y ~ bs(x, degree = 1)", "y ~ factor(k) + x", "y ~ 0 + f:x + b", "y ~ log(z) * h", "y ~ poly(z, 2):f"
)
grouped <- c(
  "y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + (1 + x | g)", "y ~ x + (0 + x | g)", "y ~ x + (x + z | g)",
  "y ~ (x * z | g)", "y ~ f + (f | g)", "y ~ f + (0 + f | g)", "y ~ (d * x | g)", "y ~ (d:x | g)", "y ~ (0 + d:x | g)",
  "y ~ (d/x | g)", "y ~ (poly(x, 2) | g)", "y ~ (log(z) | g)", "y ~ (I(x^2) | g)", "y ~ (scale(x) | q)", "y ~ (b | g)", "y ~ (0 + b | q)",
  "y ~ (1 | g) + (1 | q)", "y ~ (x | g) + (z | q)", "y ~ (1 | school/class)", "y ~ (x | school/class)", "y ~ (1 | school:class)",
  "y ~ (1 | school) + (1 | school:class)", "y ~ (x | g) + (1 | q)", "y ~ (1 | s)", "y ~ (x | s)", "y ~ (1 | b)", "y ~ (1 | g:d)",
  "y ~ (1 | g:d:b)", "y ~ (1 | d/b/s)", "y ~ x + (1 | g) + (0 + x | g)", "y ~ (1 | g) + (0 + x + z | g)", "y ~ (ns(z, df = 2) | q)",
  "y ~ (1 + x || g)", "y ~ (x + z || g)", "y ~ (x || school/class)", "y ~ (0 + x + z || q)", "y ~ (factor(k) | q)", "y ~ (C(factor(f), contr.sum) | g)"
)
by_brms <- c(
  "y ~ (1 + x || g)", "y ~ (f || g)", "y ~ (0 + f || g)", "y ~ (d * x || g)", "y ~ (b || q)", "y ~ (x | g) + (z || q)",
  "y ~ (1 | school/class)", "y ~ (f || school/class)", "y ~ (poly(x, 2) || g)", "y ~ (1 | g) + (0 + x | g)"
)

numbers <- function(matrix) signif(unname(unclass(matrix)), 12)
plain <- function(matrix) { attributes(matrix) <- list(dim = dim(matrix)); numbers(matrix) }

fixed_case <- function(text, r = text) {
  frame <- model.frame(as.formula(r), data)
  X <- model.matrix(as.formula(r), data)
  decomposed <- qr(X)
  response <- model.response(frame)
  list(
    formula = text, r = r, columns = I(colnames(X)), x = plain(X),
    kept = I(colnames(X)[sort(decomposed$pivot[seq_len(decomposed$rank)])]),
    offset = if (is.null(model.offset(frame))) NULL else signif(model.offset(frame), 12),
    y = signif(if (is.matrix(response)) response[, 1] else as.vector(response), 12)
  )
}

predicted_case <- function(text) {
  frame <- model.frame(as.formula(text), data)
  terms <- terms(frame)
  X <- model.matrix(delete.response(terms), fresh, xlev = .getXlevels(terms, frame))
  list(formula = text, columns = I(colnames(X)), x = plain(X))
}

grouped_case <- function(text) {
  control <- lmerControl(
    check.nobs.vs.rankZ = "ignore", check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
    check.nlev.gtr.1 = "ignore"
  )
  made <- suppressMessages(lFormula(as.formula(text), data, control = control))$reTrms
  groups <- names(made$flist)[attr(made$flist, "assign")]
  bars <- lapply(seq_along(made$cnms), function(i) {
    block <- as.matrix(made$Ztlist[[i]])
    width <- length(made$cnms[[i]])
    index <- as.integer(made$flist[[groups[i]]])
    z <- t(sapply(seq_len(n), function(row) block[(index[row] - 1) * width + seq_len(width), row]))
    if (width == 1) z <- t(z)
    list(
      group = groups[i], coefficients = I(made$cnms[[i]]), levels = levels(made$flist[[groups[i]]]),
      index = index - 1, z = plain(z)
    )
  })
  list(formula = text, bars = bars)
}

brms_case <- function(text) {
  made <- make_standata(as.formula(text), data)
  table <- brms:::tidy_ranef(brmsterms(bf(as.formula(text))), data)
  bars <- lapply(unique(table$id), function(id) {
    rows <- which(table$id == id)
    z <- sapply(table$cn[rows], function(cn) as.vector(made[[paste0("Z_", id, "_", cn)]]))
    list(
      group = table$group[rows[1]], coefficients = I(table$coef[rows]), correlated = table$cor[rows[1]],
      index = as.vector(made[[paste0("J_", id)]]) - 1, z = plain(matrix(z, n))
    )
  })
  list(formula = text, bars = bars)
}

result <- list(
  versions = list(
    R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
    brms = as.character(packageVersion("brms"))
  ),
  data = as.list(data),
  fresh = as.list(fresh),
  fixed = lapply(fixed, fixed_case),
  coded = lapply(coded, function(pair) fixed_case(pair[[1]], pair[[2]])),
  predicted = lapply(predicted, predicted_case),
  grouped = lapply(grouped, grouped_case),
  brms = lapply(by_brms, brms_case)
)
writeLines(toJSON(result, digits = I(12), auto_unbox = TRUE, null = "null"), "designs.json", useBytes = TRUE)
cat(length(fixed) + length(coded) + length(predicted) + length(grouped) + length(by_brms), "cases\n")
