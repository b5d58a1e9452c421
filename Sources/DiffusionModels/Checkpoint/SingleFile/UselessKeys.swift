/// What single files carry along though no picture depends on it: training's averages and tables.
enum UselessKeys {
    /// With a star where anything may stand.
    static let patterns = [
        "model_ema.*", "betas", "alphas_cumprod*", "sqrt_*", "log_*", "posterior_*", "*position_ids", "*logit_scale",
        "denoiser.sigmas", "global_step", "scale_factor", "v_pred", "ztsnr",
    ]

    /// The pattern that a key fits, if one does.
    static func pattern(of key: String) -> String? { patterns.first { fits(key, $0) } }

    private static func fits(_ key: String, _ pattern: String) -> Bool {
        if pattern.hasPrefix("*") { return key.hasSuffix(pattern.dropFirst()) }
        if pattern.hasSuffix("*") { return key.hasPrefix(pattern.dropLast()) }
        return key == pattern
    }
}
