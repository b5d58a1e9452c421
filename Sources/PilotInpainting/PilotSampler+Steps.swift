import DiffusionModels
import Failures

extension PilotSampler {
    /// K gradient steps on the loss at one timestep (Eqs. 8-12).
    func optimized(
        _ start: Latent, at step: PilotStep, predictor: some NoisePredictor, observer: PilotObserver
    ) async throws -> Latent {
        var latent = start
        var optimizer = LatentOptimizer(
            momentum: parameters.momentum,
            learningRate: schedules.learningRate(timestep: step.timestep, stepIndex: step.index))
        for number in 1...step.gradientSteps {
            if plan.isLossZero {
                // Without a background both losses vanish identically, and so does the gradient.
                try await observer(.gradientStep(step, number: number, loss: .zero))
                continue
            }
            let (values, gradient) = try await lossAndGradient(at: latent, step: step, predictor: predictor)
            optimizer.step(&latent, gradient: gradient)
            try check(latent, "the latent after gradient step \(number)", at: step)
            try await observer(.gradientStep(step, number: number, loss: values))
        }
        return latent
    }

    /// The loss at `latent` and its gradient: sum over branches of a s_b + b J_b^T s_b (see `Reconstruction`).
    private func lossAndGradient(
        at latent: Latent, step: PilotStep, predictor: some NoisePredictor
    ) async throws -> (values: LossValues, gradient: Latent) {
        try checkCancellation(at: step)
        let timestep = step.timestep
        func evaluation(_ branch: GuidanceBranch) -> Evaluation {
            Evaluation(
                branch: branch, latent: latent, timestep: timestep, masking: step.optimizationMasking,
                controls: step.controls(of: branch), adapters: step.adapters)
        }
        async let unconditionalPass = predictor.noiseWithPullback(evaluation(.unconditional))
        async let conditionalPass = predictor.noiseWithPullback(evaluation(.conditional))
        let (unconditional, conditional) = try await (unconditionalPass, conditionalPass)
        try check(unconditional.noise, "the noise prediction", of: .unconditional, at: step)
        try check(conditional.noise, "the noise prediction", of: .conditional, at: step)

        let reconstruction = scheduler.reconstruction(at: timestep)
        let (values, unconditionalSeed, conditionalSeed) = loss(
            unconditional: reconstruction.clean(latent: latent, modelOutput: unconditional.noise),
            conditional: reconstruction.clean(latent: latent, modelOutput: conditional.noise),
            semanticWeight: schedules.semanticWeight(timestep: timestep))
        guard values.isFinite else { throw notFinite("the loss", at: step) }

        try checkCancellation(at: step)
        async let unconditionalProduct = unconditional.pullback(unconditionalSeed)
        async let conditionalProduct = conditional.pullback(conditionalSeed)
        let products = try await (unconditionalProduct, conditionalProduct)
        try check(products.0, "the input gradient", of: .unconditional, at: step)
        try check(products.1, "the input gradient", of: .conditional, at: step)

        let (a, b) = (reconstruction.latentFactor, reconstruction.outputFactor)
        // One fixed order of summation: the result is the same wherever the branches ran.
        let seeds = unconditionalSeed.zipped(with: conditionalSeed, +)
        let gradient = products.0.zipped(with: products.1, +).zipped(with: seeds) { b * $0 + a * $1 }
        return (values, gradient)
    }

    /// One guided DDIM step (Eq. 9).
    func denoised(
        _ latent: Latent, at step: PilotStep, predictor: some NoisePredictor, observer: PilotObserver
    ) async throws -> Latent {
        try checkCancellation(at: step)
        let timestep = step.timestep
        func evaluation(_ branch: GuidanceBranch) -> Evaluation {
            Evaluation(
                branch: branch, latent: latent, timestep: timestep, masking: step.denoisingMasking,
                controls: step.controls(of: branch), adapters: step.adapters)
        }
        async let unconditionalPass = predictor.noise(evaluation(.unconditional))
        async let conditionalPass = predictor.noise(evaluation(.conditional))
        let (unconditional, conditional) = try await (unconditionalPass, conditionalPass)
        try check(unconditional, "the noise prediction", of: .unconditional, at: step)
        try check(conditional, "the noise prediction", of: .conditional, at: step)
        try await observer(.noise(step, unconditional: unconditional, conditional: conditional))

        let scale = Float(parameters.guidanceScale)
        let guided = unconditional.zipped(with: conditional) { $0 + scale * ($1 - $0) }
        if step.isOptimized {
            let reconstruction = scheduler.reconstruction(at: timestep)
            func clean(_ output: Latent) -> Latent { reconstruction.clean(latent: latent, modelOutput: output) }
            try await observer(
                .reconstructions(
                    step, unconditional: clean(unconditional), conditional: clean(conditional),
                    guided: clean(guided)))
        }
        let next = scheduler.step(
            modelOutput: guided, latent: latent, timestep: timestep, steps: parameters.steps)
        try check(next, "the latent", at: step)
        return next
    }

    private func checkCancellation(at step: PilotStep) throws {
        guard Task.isCancelled else { return }
        throw Failure(.interrupted, "interrupted at step \(step.index + 1) of \(step.count)")
    }

    private func check(_ latent: Latent, _ what: String, of branch: GuidanceBranch? = nil, at step: PilotStep) throws {
        precondition(latent.shape == imageLatent.shape, "a prediction must have its latent's shape")
        guard latent.isFinite else { throw notFinite(what, of: branch, at: step) }
    }

    private func notFinite(_ what: String, of branch: GuidanceBranch? = nil, at step: PilotStep) -> Failure {
        let name =
            switch branch {
            case .unconditional: ", unconditional branch"
            case .conditional: ", conditional branch"
            case nil: ""
            }
        return .internalFault(
            "step \(step.index + 1) of \(step.count), timestep \(step.timestep)\(name): \(what) became NaN or "
                + "infinite; the weights may be damaged or the learning rate too high")
    }
}
