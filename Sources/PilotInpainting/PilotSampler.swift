import DiffusionModels
import Failures
import TensorKernels

/// The PILOT method (arXiv 2407.08019) on latents: DDIM, latent optimisation, then blending.
///
/// A sampler is the job's constant part: parameters, schedule, mask and image. `sample` runs it for one image of the
/// job; several may run at once.
public struct PilotSampler: Sendable {
    public let parameters: PilotParameters
    public let scheduler: DDIMScheduler
    public let mask: LatentMask
    /// z_in: the encoded image, scaled, `[channels, h, w]`.
    public let imageLatent: Latent
    public let plan: PilotPlan
    /// When each of the job's ControlNets acts.
    public let controls: [ActingTime]
    /// The same of its T2I-Adapters.
    public let adapters: [ActingTime]

    let schedules: PilotSchedules
    let loss: PilotLoss

    /// - Throws: `Failure.usage` when a parameter makes no sense, by itself or for this model's schedule;
    ///   `Failure.internalFault` when `imageLatent` is not finite.
    /// - Precondition: the mask has `imageLatent`'s height and width.
    public init(
        parameters: PilotParameters, scheduler: DDIMScheduler, mask: LatentMask, imageLatent: Latent,
        controls: [ActingTime] = [], adapters: [ActingTime] = []
    ) throws {
        try parameters.validate()
        let timesteps = try scheduler.timesteps(steps: parameters.steps)
        guard imageLatent.isFinite else {
            throw Failure.internalFault("the encoded image holds a NaN or an infinity; the model's VAE may be damaged")
        }
        self.parameters = parameters
        self.scheduler = scheduler
        self.mask = mask
        self.imageLatent = imageLatent
        self.controls = controls
        self.adapters = adapters
        plan = PilotPlan(
            parameters: parameters, timesteps: timesteps, trainingTimesteps: scheduler.trainingTimesteps, mask: mask,
            controls: controls, adapters: adapters)
        schedules = PilotSchedules(
            parameters: parameters, mask: mask, trainingTimesteps: scheduler.trainingTimesteps)
        loss = PilotLoss(imageLatent: imageLatent, mask: mask)
    }

    /// The same job by blending alone, PILOT with gamma = 0: blended latent diffusion with the attention masks.
    public func blendingAlone() throws -> PilotSampler {
        var blending = parameters
        blending.algorithm = .pilot
        blending.coherence = 0
        return try PilotSampler(
            parameters: blending, scheduler: scheduler, mask: mask, imageLatent: imageLatent, controls: controls,
            adapters: adapters)
    }

    /// The latent of image `image` of the job, `[channels, h, w]`, to be divided by the scaling factor and decoded.
    ///
    /// Noise comes from PyTorch's generator with seed `parameters.seed + image`: first the initial latent, then one
    /// draw for each blending step, each in the order of a `(1, channels, h, w)` tensor. When `initialLatent` is
    /// given, the first draw is not made, as in diffusers: the first blending step gets the generator's first numbers.
    /// With an empty mask the sampler would merely reproduce the image: ask `mask.isEmpty` first.
    ///
    /// - Parameter observer: see `PilotEvent`.
    /// - Throws: `Failure.usage` when `initialLatent` has another shape than the image's or isn't finite;
    ///   `Failure.internalFault` naming step, timestep and branch when a prediction, a gradient, the loss or the latent
    ///   becomes NaN or infinite; `Failure` of kind `interrupted` when the task is cancelled; whatever `predictor` and
    ///   `observer` throw.
    public func sample(
        image: Int = 0, initialLatent: Latent? = nil, predictor: some NoisePredictor,
        observer: @escaping PilotObserver = { _ in }
    ) async throws -> Latent {
        do {
            return try await run(
                image: image, initialLatent: initialLatent, predictor: predictor, observer: observer)
        } catch is CancellationError {
            // A predictor's or an observer's; the sampler's own says where.
            throw Failure(.interrupted, "interrupted")
        }
    }

    private func run(
        image: Int, initialLatent: Latent?, predictor: some NoisePredictor, observer: PilotObserver
    ) async throws -> Latent {
        var generator = TorchGenerator(seed: parameters.seed &+ UInt64(image))
        if let initialLatent { try check(initialLatent: initialLatent) }
        var latent = initialLatent ?? noise(from: &generator)
        try await observer(.initialLatent(latent))
        for step in plan.steps {
            try await observer(.stepStarted(step))
            if step.stage == .blending {
                let noised = scheduler.addNoise(
                    noise(from: &generator), to: imageLatent, timestep: step.timestep)
                latent = Blending.blend(foreground: latent, background: noised, mask: mask)
            }
            try await observer(.latent(step, latent))
            if step.isOptimized {
                latent = try await optimized(latent, at: step, predictor: predictor, observer: observer)
                try await observer(.optimizedLatent(step, latent))
            }
            latent = try await denoised(latent, at: step, predictor: predictor, observer: observer)
            try await observer(.stepFinished(step))
        }
        try await observer(.finalLatent(latent))
        return latent
    }

    private func noise(from generator: inout TorchGenerator) -> Latent {
        Latent(
            channels: imageLatent.channels, height: imageLatent.height, width: imageLatent.width,
            values: generator.randn(imageLatent.values.count))
    }

    private func check(initialLatent: Latent) throws {
        guard initialLatent.shape == imageLatent.shape else {
            throw Failure.usage(
                "initial-latent: expected shape \(imageLatent.shape), that of the image's latent, found "
                    + "\(initialLatent.shape)")
        }
        guard initialLatent.isFinite else {
            throw Failure.usage("initial-latent: expected finite numbers, found a NaN or an infinity")
        }
    }
}
