import Failures

/// The deterministic DDIM sampler (Song et al., arXiv 2010.02502, with eta = 0), as diffusers' `DDIMScheduler`.
public struct DDIMScheduler: Sendable {
    public let configuration: SchedulerConfiguration
    /// abar_t for each training timestep t.
    public let cumulativeAlphas: [Float]
    /// abar beyond the last step: 1, or abar_0.
    public let finalCumulativeAlpha: Float
    /// The configuration's file name, for messages.
    public let file: String

    /// - Parameter file: the configuration's file name, for messages.
    /// - Throws: `Failure.badData` as `SchedulerConfiguration.validate(file:)`, and when the betas make no schedule in
    ///   float32.
    public init(_ configuration: SchedulerConfiguration, file: String = "scheduler_config.json") throws {
        try configuration.validate(file: file)
        self.configuration = configuration
        self.file = file
        cumulativeAlphas = NoiseSchedule.cumulativeAlphas(of: configuration)
        if let timestep = cumulativeAlphas.firstIndex(where: { !($0 >= 0 && $0 < 1) }) {
            throw Failure.badData(
                file: file, key: "betas", expected: "a share of signal from 0 to below 1 at every timestep",
                found: "\(cumulativeAlphas[timestep]) at timestep \(timestep)")
        }
        finalCumulativeAlpha = configuration.setAlphaToOne ? 1 : cumulativeAlphas[0]
    }

    /// T, the number of training timesteps.
    public var trainingTimesteps: Int { configuration.trainingTimesteps }

    /// The first timestep whose clean sample can't be recovered from the model's output: pure noise, from a network
    /// that predicts the noise.
    private func isUnrecoverable(_ timestep: Int) -> Bool {
        configuration.predictionType == .epsilon && cumulativeAlphas[timestep] == 0
    }

    /// Checks that the schedule can be sampled in `steps` steps.
    ///
    /// - Throws: `Failure.usage` when steps is 0 or more than can be done, or the configuration's offset carries a
    ///   timestep beyond the last one; `Failure.badData` when a timestep is pure noise (zero terminal
    ///   signal-to-noise) and the network predicts noise.
    public func validate(steps: Int) throws {
        let most = mostSteps(upTo: trainingTimesteps)
        guard (1...most).contains(steps) else {
            throw Failure.usage("steps: expected 1 to \(most), which this model's schedule can do, found \(steps)")
        }
        let timesteps = spacedTimesteps(count: steps)
        if let stranger = timesteps.first(where: { !cumulativeAlphas.indices.contains($0) }) {
            throw Failure.usage(
                "steps: with this model's steps_offset of \(configuration.stepsOffset), \(steps) steps need timestep "
                    + "\(stranger), and the last one is \(trainingTimesteps - 1); \(mostSteps(upTo: steps)) can be done"
            )
        }
        if let noise = timesteps.first(where: isUnrecoverable) {
            throw Failure.badData(
                "\(file): the betas (with rescale_betas_zero_snr \(configuration.rescaleBetasZeroSNR)) make timestep "
                    + "\(noise) pure noise, from which a model with prediction_type epsilon can't recover an image; "
                    + "expected v_prediction or sample")
        }
    }

    /// The largest number of steps up to a limit of which none lies beyond the training timesteps.
    private func mostSteps(upTo limit: Int) -> Int {
        guard configuration.timestepSpacing == .leading else { return limit }
        let offset = configuration.stepsOffset
        return (1...limit).last { ($0 - 1) * (trainingTimesteps / $0) + offset < trainingTimesteps } ?? 1
    }

    /// The timesteps of a run of `steps` steps, falling, equal to those of `DDIMScheduler.set_timesteps`.
    ///
    /// - Throws: as `validate(steps:)`.
    public func timesteps(steps: Int) throws -> [Int] {
        try validate(steps: steps)
        return spacedTimesteps(count: steps)
    }

    private func spacedTimesteps(count: Int) -> [Int] {
        let last = trainingTimesteps - 1
        switch configuration.timestepSpacing {
        case .leading:
            let ratio = trainingTimesteps / count
            return (0..<count).reversed().map { $0 * ratio + configuration.stepsOffset }
        case .linspace:
            guard count > 1 else { return [0] }
            let spacing = Double(last) / Double(count - 1)
            let inner = (0..<count - 1).reversed().map { Int((Double($0) * spacing).rounded(.toNearestOrEven)) }
            return [last] + inner
        case .trailing:
            return trailingTimesteps(count: count)
        }
    }

    /// `numpy.round(numpy.arange(T, 0, -T / count)) - 1`, with numpy's own way of laying out a range: its length is
    /// computed first, and its spacing is the difference of its first two elements.
    ///
    /// For some counts (61 of 1000) rounding makes numpy's range one too long, and diffusers ends with timestep -1,
    /// which it takes for the noisiest one. That step is left out here.
    private func trailingTimesteps(count: Int) -> [Int] {
        let start = Double(trainingTimesteps)
        let ratio = start / Double(count)
        let length = min(count, Int((start / ratio).rounded(.up)))
        let spacing = (start - ratio) - start
        return (0..<length).map { index in
            Int((start + Double(index) * spacing).rounded(.toNearestOrEven)) - 1
        }
    }

    /// How a model output and a latent at `timestep` make the one-step reconstruction and the noise.
    public func reconstruction(at timestep: Int) -> Reconstruction {
        Reconstruction(cumulativeAlpha: cumulativeAlphas[timestep], predictionType: configuration.predictionType)
    }

    /// sqrt(abar_t) x + sqrt(1 - abar_t) n, the forward process at `timestep` (diffusers' `add_noise`).
    ///
    /// - Precondition: equal shapes.
    public func addNoise(_ noise: Latent, to sample: Latent, timestep: Int) -> Latent {
        let alpha = cumulativeAlphas[timestep]
        let (signal, deviation) = (alpha.squareRoot(), (1 - alpha).squareRoot())
        return sample.zipped(with: noise) { signal * $0 + deviation * $1 }
    }

    /// One DDIM step with eta = 0: the latent at the timestep after `timestep` in a run of `steps` steps.
    ///
    /// - Parameters:
    ///   - modelOutput: what the network predicted (noise, velocity or sample), guidance applied; `latent`'s shape.
    ///   - timestep: one of `timesteps(steps:)`.
    public func step(modelOutput: Latent, latent: Latent, timestep: Int, steps: Int) -> Latent {
        let previous = timestep - trainingTimesteps / steps
        let previousAlpha = previous >= 0 ? cumulativeAlphas[previous] : finalCumulativeAlpha
        let (signal, deviation) = (previousAlpha.squareRoot(), (1 - previousAlpha).squareRoot())
        let reconstruction = reconstruction(at: timestep)
        let limit = configuration.clipSample ? Float(configuration.clipSampleRange) : nil
        return latent.zipped(with: modelOutput) { z, output in
            var clean = reconstruction.clean(z, output)
            // As diffusers does by default, the noise is not derived again from the clipped sample.
            let noise = reconstruction.noise(z, output)
            if let limit, !clean.isNaN { clean = min(max(clean, -limit), limit) }
            return signal * clean + deviation * noise
        }
    }
}
