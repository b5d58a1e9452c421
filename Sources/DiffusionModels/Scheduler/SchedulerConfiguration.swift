/// What a model folder's `scheduler/scheduler_config.json` says about its noise schedule.
///
/// The file may belong to any diffusers scheduler with a beta schedule (Stable Diffusion 1.5 ships a PNDM one); it is
/// read as `DDIMScheduler.from_config` reads it: keys DDIM doesn't know are ignored, absent ones take DDIM's defaults.
public struct SchedulerConfiguration: Codable, Equatable, Sendable {
    /// How the betas run from `betaStart` to `betaEnd`.
    public enum BetaSchedule: String, Codable, Sendable, CaseIterable {
        case linear
        /// Linear in the square root, the schedule of the latent diffusion models.
        case scaledLinear = "scaled_linear"
        /// Nichol and Dhariwal's cosine schedule; takes no `betaStart` and `betaEnd`.
        case squaredCosine = "squaredcos_cap_v2"
    }

    /// What the network was trained to predict.
    public enum PredictionType: String, Codable, Sendable, CaseIterable {
        case epsilon
        case velocity = "v_prediction"
        case sample
    }

    /// How the sampling timesteps are laid over the training timesteps (Lin et al., arXiv 2305.08891, Table 2).
    public enum TimestepSpacing: String, Codable, Sendable, CaseIterable {
        case leading
        case trailing
        case linspace
    }

    public var trainingTimesteps = 1000
    public var betaStart = 0.0001
    public var betaEnd = 0.02
    public var betaSchedule = BetaSchedule.linear
    /// Overrides the schedule and its two ends.
    public var trainedBetas: [Double]?
    /// Whether a step clamps its prediction of the clean sample to +-`clipSampleRange`.
    public var clipSample = true
    /// Whether the file was silent on `clip_sample`, so that DDIM's default clamps.
    ///
    /// Files of schedulers that never clamp (Euler, newer PNDM) don't hold the key, and no latent diffusion model wants
    /// its latents clamped to +-1: worth a warning.
    public private(set) var isClipSampleDefaulted = false
    public var clipSampleRange = 1.0
    /// Whether the last step goes to cumulative alpha 1; otherwise to that of timestep 0.
    public var setAlphaToOne = true
    public var stepsOffset = 0
    public var predictionType = PredictionType.epsilon
    public var timestepSpacing = TimestepSpacing.leading
    public var rescaleBetasZeroSNR = false
    public var thresholding = false

    /// The defaults of diffusers' `DDIMScheduler`.
    public init() {}

    enum CodingKeys: String, CodingKey {
        case trainingTimesteps = "num_train_timesteps"
        case betaStart = "beta_start"
        case betaEnd = "beta_end"
        case betaSchedule = "beta_schedule"
        case trainedBetas = "trained_betas"
        case clipSample = "clip_sample"
        case clipSampleRange = "clip_sample_range"
        case setAlphaToOne = "set_alpha_to_one"
        case stepsOffset = "steps_offset"
        case predictionType = "prediction_type"
        case timestepSpacing = "timestep_spacing"
        case rescaleBetasZeroSNR = "rescale_betas_zero_snr"
        case thresholding
    }

    /// More training timesteps than any model has; a file that says more is damaged or hostile.
    static let mostTrainingTimesteps = 100_000

    public init(from decoder: any Decoder) throws {
        let fields = try ConfigurationFields(decoder)
        trainingTimesteps = try fields.integer(
            CodingKeys.trainingTimesteps, in: 1...Self.mostTrainingTimesteps, default: trainingTimesteps)
        betaStart = try fields.number(CodingKeys.betaStart, default: betaStart)
        betaEnd = try fields.number(CodingKeys.betaEnd, default: betaEnd)
        betaSchedule = try fields.choice(CodingKeys.betaSchedule, default: betaSchedule)
        trainedBetas = try fields.numbers(CodingKeys.trainedBetas)
        clipSample = try fields.flag(CodingKeys.clipSample, default: clipSample)
        isClipSampleDefaulted = fields[CodingKeys.clipSample] == .null
        clipSampleRange = try fields.number(CodingKeys.clipSampleRange, default: clipSampleRange)
        setAlphaToOne = try fields.flag(CodingKeys.setAlphaToOne, default: setAlphaToOne)
        stepsOffset = try fields.integer(
            CodingKeys.stepsOffset, in: 0...trainingTimesteps - 1, default: stepsOffset)
        predictionType = try fields.choice(CodingKeys.predictionType, default: predictionType)
        timestepSpacing = try fields.choice(CodingKeys.timestepSpacing, default: timestepSpacing)
        rescaleBetasZeroSNR = try fields.flag(CodingKeys.rescaleBetasZeroSNR, default: rescaleBetasZeroSNR)
        thresholding = try fields.flag(CodingKeys.thresholding, default: thresholding)
    }
}
