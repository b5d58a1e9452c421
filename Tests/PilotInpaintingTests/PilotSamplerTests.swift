import DiffusionModels
import Failures
import PilotInpainting
import TensorKernels
import Testing

@Suite struct PilotSamplerTests {
    /// Float32 on both sides, in other orders of operations: 1e-5 of a latent's root mean square, 2e-6 of a loss.
    @Test func wholeRunsAreThoseOfTheReference() async throws {
        for run in try MethodFixture.load().runs {
            let sampler = try run.sampler()
            #expect(sampler.mask.values == run.mask, "\(run.name)")
            let network = ToyNetwork(scheduler: sampler.scheduler)
            let recorder = Recorder()
            let final = try await sampler.sample(
                image: run.imageIndex, initialLatent: run.givesInitial ? run.latent(run.initial) : nil,
                predictor: network, observer: { await recorder.record($0) })
            #expect(difference(final, run.final) < 1e-5, "\(run.name)")
            for event in await recorder.events { compare(event, with: run) }
            #expect(await network.calls.work == sampler.plan.work, "\(run.name)")
        }
    }

    private func compare(_ event: PilotEvent, with run: MethodFixture.Run) {
        func close(_ found: Latent, _ expected: [Float]?, _ step: PilotStep? = nil) {
            guard let expected else { return }
            #expect(difference(found, expected) < 1e-5, "\(run.name), step \(step?.index ?? -1)")
        }
        switch event {
        case .initialLatent(let latent): close(latent, run.initial)
        case .stepStarted(let step):
            let expected = run.steps[step.index]
            #expect(step.timestep == expected.timestep)
            #expect(step.gradientSteps == expected.loss?.count ?? 0)
        case .latent(let step, let latent): close(latent, run.steps[step.index].latent, step)
        case .gradientStep(let step, let number, let loss):
            let expected = run.steps[step.index].loss?[number - 1] ?? []
            for (found, expected) in zip([loss.total, loss.background, loss.semantic], expected) {
                #expect(abs(found - expected) <= 2e-6 * abs(expected), "\(run.name), step \(step.index)")
            }
        case .optimizedLatent(let step, let latent): close(latent, run.steps[step.index].optimized, step)
        case .noise(let step, let unconditional, let conditional):
            close(unconditional, run.steps[step.index].noiseUnconditional, step)
            close(conditional, run.steps[step.index].noiseConditional, step)
        case .reconstructions(let step, _, _, let guided):
            close(guided, run.steps[step.index].reconstruction, step)
        case .stepFinished: break
        case .finalLatent(let latent): close(latent, run.final)
        }
    }

    /// The baseline is guided DDIM from the noise as it is drawn, and no more; blending alone is still PILOT's.
    @Test func theBaselineIsDenoisingAlone() async throws {
        let run = try #require(MethodFixture.load().runs.first)
        var parameters = run.parameters
        parameters.algorithm = .inpaint
        let pilot = try run.sampler()
        let sampler = try PilotSampler(
            parameters: parameters, scheduler: pilot.scheduler, mask: pilot.mask, imageLatent: pilot.imageLatent)
        let network = ToyNetwork(scheduler: sampler.scheduler)
        let found = try await sampler.sample(predictor: network)

        var generator = TorchGenerator(seed: parameters.seed)
        var latent = run.latent(generator.randn(48))
        let scale = Float(parameters.guidanceScale)
        for timestep in try sampler.scheduler.timesteps(steps: parameters.steps) {
            func noise(_ branch: GuidanceBranch) async throws -> Latent {
                try await network.noise(Evaluation(branch: branch, latent: latent, timestep: timestep, masking: []))
            }
            let (without, with) = (try await noise(.unconditional), try await noise(.conditional))
            var guided = without
            for index in guided.values.indices {
                guided.values[index] += scale * (with.values[index] - without.values[index])
            }
            latent = sampler.scheduler.step(
                modelOutput: guided, latent: latent, timestep: timestep, steps: parameters.steps)
        }
        #expect(difference(found, latent.values) < 1e-6)
        #expect(await network.calls.work.recordedForwardPasses == 0)
        #expect(try sampler.blendingAlone().plan == pilot.blendingAlone().plan)
    }

    @Test func eventsComeInOrder() async throws {
        let run = try #require(MethodFixture.load().runs.first)
        let sampler = try run.sampler()
        let recorder = Recorder()
        _ = try await sampler.sample(
            predictor: ToyNetwork(scheduler: sampler.scheduler), observer: { await recorder.record($0) })
        let names = await recorder.events.map { String(describing: $0).prefix { $0 != "(" } }
        let plain = ["stepStarted", "latent", "noise", "stepFinished"]
        let optimized =
            ["stepStarted", "latent", "gradientStep", "gradientStep", "gradientStep", "optimizedLatent"]
            + ["noise", "reconstructions", "stepFinished"]
        let steps = sampler.plan.steps.flatMap { $0.isOptimized ? optimized : plain }
        #expect(names.map(String.init) == ["initialLatent"] + steps + ["finalLatent"])
    }

    /// Gives NaN for one branch at one timestep.
    private struct Faulty: NoisePredictor {
        let network: ToyNetwork
        let branch: GuidanceBranch
        let timestep: Int
        let isInPullback: Bool

        private func spoiled(_ latent: Latent, _ evaluation: Evaluation) -> Latent {
            var result = latent
            if evaluation.branch == branch && evaluation.timestep == timestep { result.values[5] = .nan }
            return result
        }

        func noise(_ evaluation: Evaluation) async throws -> Latent {
            let noise = try await network.noise(evaluation)
            return isInPullback ? noise : spoiled(noise, evaluation)
        }

        func noiseWithPullback(
            _ evaluation: Evaluation
        ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent) {
            let (noise, pullback) = try await network.noiseWithPullback(evaluation)
            return (noise, { try await spoiled(pullback($0), evaluation) })
        }
    }

    @Test(arguments: [false, true]) func numbersThatAreNotFiniteNameStepAndBranch(isInPullback: Bool) async throws {
        let run = try #require(MethodFixture.load().runs.first)
        let sampler = try run.sampler()
        let network = ToyNetwork(scheduler: sampler.scheduler)
        let faulty = Faulty(network: network, branch: .conditional, timestep: 626, isInPullback: isInPullback)
        let failure = await #expect(throws: Failure.self) { try await sampler.sample(predictor: faulty) }
        let message = try #require(failure).message
        #expect(failure?.kind == .internalFault)
        for part in ["step 3 of 8", "timestep 626", "conditional branch"] {
            #expect(message.contains(part), "\(message)")
        }
    }

    @Test func cancellingEndsTheJob() async throws {
        let run = try #require(MethodFixture.load().runs.first)
        let sampler = try run.sampler()
        let network = ToyNetwork(scheduler: sampler.scheduler)
        let job = Task {
            try await sampler.sample(predictor: network) { event in
                if case .stepStarted(let step) = event, step.index == 4 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        let failure = await #expect(throws: Failure.self) { try await job.value }
        #expect(failure?.kind == .interrupted)
        #expect(failure?.message.contains("step 5 of 8") == true)
    }

    @Test func anInitialLatentMustFit() async throws {
        let run = try #require(MethodFixture.load().runs.first)
        let sampler = try run.sampler()
        let network = ToyNetwork(scheduler: sampler.scheduler)
        let wrong = [
            Latent(channels: 4, height: 3, width: 4, values: [Float](repeating: 0, count: 48)),
            run.latent([Float](repeating: .infinity, count: 48)),
        ]
        for latent in wrong {
            let failure = await #expect(throws: Failure.self) {
                try await sampler.sample(initialLatent: latent, predictor: network)
            }
            #expect(failure?.kind == .usage && failure?.message.contains("initial-latent") == true)
        }
    }
}
