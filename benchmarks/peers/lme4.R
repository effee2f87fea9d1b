# Fits a formula by lme4::lmer as often as it is told; data are the files NAME.f8 and NAME.i4 of a folder.
suppressMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
read_column <- function(path) {
  real <- endsWith(path, ".f8")
  width <- if (real) 8 else 4
  values <- readBin(path, if (real) "double" else "integer", file.size(path) / width, width, endian = "little")
  if (real) values else factor(values)
}
files <- list.files(arguments[1], full.names = TRUE)
data <- as.data.frame(lapply(setNames(files, sub("\\..*$", "", basename(files))), read_column))
formula <- as.formula(arguments[2])

say <- function(...) {
  cat(sprintf(...), "\n", sep = "")
  flush(stdout())
}
say('{"version": "%s"}', as.character(packageVersion("lme4")))
input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  invisible(gc())
  start <- Sys.time()
  model <- suppressMessages(suppressWarnings(lmer(formula, data)))
  seconds <- as.numeric(difftime(Sys.time(), start, units = "secs"))
  start <- Sys.time()
  invisible(summary(model))
  summary_seconds <- as.numeric(difftime(Sys.time(), start, units = "secs"))
  variances <- as.data.frame(VarCorr(model))
  sds <- variances[is.na(variances$var2), ]
  names <- c(names(fixef(model)), paste0("sd ", sds$grp, ifelse(is.na(sds$var1), "", paste0(" ", sds$var1))))
  values <- c(fixef(model), sds$sdcor)
  say('{"seconds": %.9f, "summary_seconds": %.9f, "estimates": {%s}}', seconds, summary_seconds,
      paste(sprintf('"%s": %.9g', names, values), collapse = ", "))
}
