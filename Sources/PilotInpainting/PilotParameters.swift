import Failures

/// Everything a user may set about the method; the defaults are the preset `balanced`.
public struct PilotParameters: Codable, Equatable, Sendable {
    /// How L_s's weight lambda depends on the unmasked fraction of the latent mask (appendix A of the paper; the
    /// released versions of the method differ among themselves).
    public enum AreaWeight: String, Codable, Sendable, CaseIterable {
        /// (3 x fraction)^2, the paper's.
        case square
        /// 3 x fraction.
        case linear
        /// 1.
        case constant
    }

    /// How the image's mask becomes the latent's.
    public enum MaskDownsample: String, Codable, Sendable, CaseIterable {
        /// The pixel at a cell's upper left corner decides.
        case nearest
        /// One masked pixel in a cell masks it.
        case max
    }

    /// Settings that belong together.
    public enum Preset: String, Codable, Sendable, CaseIterable {
        /// The paper's full setting: every step optimises.
        case paper
        /// The paper's recommendation.
        case balanced
        /// The paper's practical setting.
        case fast
    }

    /// What is made of the network's predictions; the command line calls it the method.
    public enum Algorithm: String, Codable, Sendable, CaseIterable {
        /// PILOT: the latent is optimised, then blended with the image's.
        case pilot
        /// The baseline SD-Inpaint: denoising alone, by a network that sees the mask and the masked image.
        case inpaint
    }

    /// Another algorithm than PILOT; nil for PILOT, so that records of it say nothing, as they always have.
    private var baseline: Algorithm?
    public var algorithm: Algorithm {
        get { baseline ?? .pilot }
        set { baseline = newValue == .pilot ? nil : newValue }
    }

    /// DDIM steps.
    public var steps = 50
    /// omega of Eq. 9.
    public var guidanceScale = 7.5
    /// gamma, 0...1: the share of the timesteps, from the noisy end, that optimises; the rest blends.
    public var coherence = 0.5
    /// tau: of the optimising steps, those whose index tau divides are optimised.
    public var optimizeEvery = 5
    /// K: gradient steps at each optimised timestep.
    public var gradientSteps = 10
    /// lr_95: the learning rate at t = 0.95 T.
    public var learningRate = 0.03
    /// The learning rate at the first timestep, where the gradient is ambiguous.
    public var warmupLearningRate = 0.007
    public var momentum = 0.7
    /// lambda_0 of `PilotSchedules.semanticWeight`.
    public var lambda = 110.0
    public var lambdaArea = AreaWeight.square
    /// Whether background queries see no prompt token (Eq. 14).
    public var crossAttentionMask = true
    /// Whether background queries see no foreground key (Eq. 15).
    public var selfAttentionMask = true
    public var maskDownsample = MaskDownsample.nearest
    /// The seed of the first image; image k has seed + k.
    public var seed: UInt64 = 0

    public init(preset: Preset = .balanced) {
        switch preset {
        case .paper: (steps, optimizeEvery, gradientSteps, coherence) = (200, 10, 10, 1)
        case .balanced: (steps, optimizeEvery, gradientSteps, coherence) = (50, 5, 10, 0.5)
        case .fast: (steps, optimizeEvery, gradientSteps, coherence) = (30, 3, 3, 0.4)
        }
    }

    /// What steps and the like may be: far above any use, and low enough that their products stay numbers.
    public static let counts = 1...100_000

    /// Checks each value by itself; `DDIMScheduler.validate(steps:)` checks the steps against a model.
    ///
    /// - Throws: `Failure.usage` naming the value.
    public func validate() throws {
        func check(_ name: String, _ isGood: Bool, _ expected: String, _ found: Any) throws {
            guard isGood else { throw Failure.usage("\(name): expected \(expected), found \(found)") }
        }
        let counts = Self.counts
        let countRange = "\(counts.lowerBound) to \(counts.upperBound)"
        try check("steps", counts.contains(steps), countRange, steps)
        try check("optimize-every", counts.contains(optimizeEvery), countRange, optimizeEvery)
        try check("gradient-steps", counts.contains(gradientSteps), countRange, gradientSteps)
        try check("coherence", (0...1).contains(coherence), "a number from 0 to 1", coherence)
        try check("momentum", momentum >= 0 && momentum < 1, "a number from 0 to below 1", momentum)
        let amounts = [
            ("guidance-scale", guidanceScale), ("learning-rate", learningRate),
            ("warmup-learning-rate", warmupLearningRate), ("lambda", lambda),
        ]
        for (name, amount) in amounts {
            try check(name, amount.isFinite && amount >= 0, "a finite number, 0 or more", amount)
        }
    }
}
