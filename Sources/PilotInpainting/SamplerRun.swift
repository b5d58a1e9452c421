import DiffusionModels

/// A run of the sampler for one picture, with all that it takes beside the network: it can be carried out wherever there
/// is one.
public struct SamplerRun: Sendable {
    /// What an observer wants to hear beside how far the run is.
    public struct Wants: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Every event but the reconstructions, with its latents.
        public static let latents = Wants(rawValue: 1)
        /// The reconstructions of the optimised timesteps.
        public static let reconstructions = Wants(rawValue: 2)
    }

    public let sampler: PilotSampler
    /// What the unconditional branch works with, and the conditional one, in this order.
    public let branches: [BranchInputs]
    /// Which image of the job, 0 for the first: what is added to its seed.
    public let image: Int
    /// See `PilotSampler.sample`.
    public let initialLatent: Latent?
    public let wants: Wants

    /// - Precondition: inputs for each branch, and an image that is not negative.
    public init(
        sampler: PilotSampler, branches: [BranchInputs], image: Int = 0, initialLatent: Latent? = nil,
        wants: Wants = []
    ) {
        precondition(branches.count == GuidanceBranch.allCases.count, "inputs for each branch")
        precondition(image >= 0, "images are counted from 0")
        self.sampler = sampler
        self.branches = branches
        self.image = image
        self.initialLatent = initialLatent
        self.wants = wants
    }

    /// Runs the sampler, and takes its times.
    ///
    /// - Parameter observer: hears every event, whatever is wanted of them.
    /// - Throws: as `PilotSampler.sample`.
    public func sampled(
        by predictor: some NoisePredictor, observer: @escaping PilotObserver = { _ in }
    ) async throws -> SampledLatent {
        let clock = SamplerClock()
        let latent = try await sampler.sample(
            image: image, initialLatent: initialLatent, predictor: predictor
        ) { event in
            clock.observe(event)
            try await observer(event)
            clock.setMark()
        }
        return clock.result(latent)
    }
}

/// What came of a sampler's run.
public struct SampledLatent: Equatable, Sendable {
    /// How often something was done, and how many seconds it took in all.
    public struct Work: Equatable, Sendable {
        public var count = 0
        public var seconds = 0.0

        public init(count: Int = 0, seconds: Double = 0) {
            self.count = count
            self.seconds = seconds
        }
    }

    /// z after the last step, ready for the decoder.
    public var latent: Latent
    /// What the loss was before the last gradient step; nil without gradient steps.
    public var loss: LossValues?
    public var gradientSteps: Work
    public var denoisingSteps: Work
    /// How long, in seconds, the run waited for its turn.
    public var secondsWaited = 0.0

    public init(latent: Latent, loss: LossValues? = nil, gradientSteps: Work = Work(), denoisingSteps: Work = Work()) {
        self.latent = latent
        self.loss = loss
        self.gradientSteps = gradientSteps
        self.denoisingSteps = denoisingSteps
    }
}
