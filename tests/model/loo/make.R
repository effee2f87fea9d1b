# What R's loo and its density functions make of draws and data that are simulated here.
# Run in this folder: Rscript make.R. It writes loo.json, which the tests read; they need no R.
suppressPackageStartupMessages({
  library(jsonlite)
  library(loo)
})
set.seed(20261123)
chains <- 4
iterations <- 256 # with 1024 draws and a relative efficiency of 1 the tail has a whole number of draws
S <- chains * iterations

# Draws of an autoregressive kind around the least-squares fit of two models of the same data, with an outlier.
n <- 40
x <- round(rnorm(n), 3)
y <- round(1 + 0.5 * x + rnorm(n, 0, 0.7), 3)
y[7] <- 3.9
series <- function() {
  as.vector(sapply(seq_len(chains), function(chain) {
    as.numeric(stats::filter(rnorm(iterations, 0, sqrt(1 - 0.3^2)), 0.3, "recursive"))
  }))
}
draws_of <- function(formula) {
  fit <- lm(formula)
  root <- chol(vcov(fit))
  b <- sapply(seq_along(coef(fit)), function(j) series()) %*% root
  b <- sweep(b, 2, coef(fit), "+")
  sigma <- summary(fit)$sigma * exp(series() / sqrt(2 * n))
  list(b = b, sigma = sigma, x = model.matrix(fit))
}
log_lik_of <- function(draws) {
  mu <- draws$b %*% t(draws$x)
  matrix(dnorm(rep(y, each = S), mu, draws$sigma, log = TRUE), S)
}
models <- list(draws_of(y ~ x), draws_of(y ~ 1))
log_liks <- lapply(models, log_lik_of)
chain_id <- rep(seq_len(chains), each = iterations)
loos <- lapply(log_liks, function(ll) loo(ll, r_eff = relative_eff(exp(ll), chain_id)))
described <- Map(function(model, ll, result) {
  smoothed <- suppressWarnings(psis(-ll, r_eff = rep(1, n)))
  list(
    b = unname(model$b), sigma = model$sigma,
    estimates = unname(result$estimates[, "Estimate"]), se = unname(result$estimates[, "SE"]),
    elpd = unname(result$pointwise[, "elpd_loo"]), mcse = unname(result$pointwise[, "mcse_elpd_loo"]),
    p_loo = unname(result$pointwise[, "p_loo"]), pareto_k = result$diagnostics$pareto_k,
    r_eff = unname(relative_eff(exp(ll), chain_id)),
    efficient = list(
      pareto_k = smoothed$diagnostics$pareto_k,
      elpd = matrixStats::colLogSumExps(ll + weights(smoothed))
    )
  )
}, models, log_liks, loos)
comparison <- loo_compare(loos)
pointwise <- sapply(loos, function(result) result$pointwise[, "elpd_loo"])
third <- pointwise[, 2] + rnorm(n, 0, 0.3)
compared <- list(
  order = rownames(comparison), elpd_diff = unname(comparison[, "elpd_diff"]), se_diff = unname(comparison[, "se_diff"]),
  third = third, stacking = as.numeric(stacking_weights(cbind(pointwise, third), optim_control = list(reltol = 1e-14)))
)

# The difference estimator of sums over all rows.
rough <- rnorm(200, -1.4, 0.8)
index <- sort(sample(200, 50))
exact <- rough[index] + rnorm(50, -0.02, 0.05)
estimated <- loo:::srs_diff_est(rough, exact, index)

# Log densities and probabilities of every family at linear predictors, ordinary and far out.
eta <- c(-30, -6, -1.5, 0, 0.4, 2, 5)
near <- c(-5, -1.5, 0, 0.4, 1.5, 2)
cloglog <- function(eta) -expm1(-exp(eta))
probabilities <- list(logit = plogis, probit = pnorm, cloglog = cloglog)
family <- function(name, link, eta, y, value, ...) list(name = name, link = link, eta = eta, y = y, value = value, ...)
binomials <- unlist(lapply(names(probabilities), function(link) {
  p <- probabilities[[link]](near)
  list(
    family("bernoulli", link, near, c(0, 1, 0, 1, 0, 1), dbinom(c(0, 1, 0, 1, 0, 1), 1, p, log = TRUE)),
    family("binomial", link, near, c(0, 1, 4, 9, 9, 3), dbinom(c(0, 1, 4, 9, 9, 3), 9, p, log = TRUE), trials = rep(9, 6))
  )
}), recursive = FALSE)
responses <- c(-20, -4, 0, 0, 1.25, 2.5, 40)
counts <- c(0, 0, 1, 3, 0, 12, 100)
families <- c(binomials, list(
  family("gaussian", "identity", eta, responses, dnorm(responses, eta, 1.3, log = TRUE), sigma = 1.3),
  family("gaussian", "log", eta, responses, dnorm(responses, exp(eta), 1.3, log = TRUE), sigma = 1.3),
  family("gaussian", "identity", eta, responses, dnorm(responses, eta, seq(0.5, 2, 0.25), log = TRUE), standard_error = seq(0.5, 2, 0.25)),
  family("gaussian", "identity", eta, responses, seq(0, 3, 0.5) * dnorm(responses, eta, 1.3, log = TRUE), sigma = 1.3, weights = seq(0, 3, 0.5)),
  family("student", "identity", eta, responses, dt((responses - eta) / 1.3, 3.5, log = TRUE) - log(1.3), sigma = 1.3, nu = 3.5),
  family("poisson", "log", eta, counts, dpois(counts, exp(eta), log = TRUE)),
  family("negbinomial", "log", eta, counts, dnbinom(counts, mu = exp(eta), size = 0.8, log = TRUE), shape = 0.8),
  family("negbinomial", "log", eta, counts, dnbinom(counts, mu = exp(eta), size = 1e6, log = TRUE), shape = 1e6)
))

written <- list(
  versions = list(R = as.character(getRversion()), loo = as.character(packageVersion("loo"))),
  chains = chains, x = x, y = y, models = unname(described), comparison = compared,
  subsample = list(rough = rough, index = index - 1, exact = exact, estimate = estimated$y_hat,
                   variance = estimated$hat_v_y, subsampling_variance = estimated$v_y_hat),
  families = families
)
write(toJSON(written, digits = NA, auto_unbox = TRUE), "loo.json")
