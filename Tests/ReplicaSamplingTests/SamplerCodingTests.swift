import DiffusionModels
import Failures
import PilotInpainting
import ReplicaSampling
import TestSupport
import Testing

/// Orders and results as bytes: they arrive as they left, and what is damaged is an error.
@Suite struct SamplerCodingTests {
    private func run() throws -> SamplerRun {
        var trial = try SamplerTrial()
        trial.parameters.seed = .max
        trial.parameters.learningRate = 0.1 + 0.2
        trial.initialLatent = Latent(repeating: 0.25, channels: 4, height: 8, width: 9)
        trial.wants = [.latents]
        let plain = try trial.run(image: 7)
        var configuration = SchedulerConfiguration()
        configuration.predictionType = .velocity
        configuration.betaEnd = 0.012
        let sampler = try PilotSampler(
            parameters: trial.parameters, scheduler: DDIMScheduler(configuration, file: "a.json"),
            mask: plain.sampler.mask, imageLatent: plain.sampler.imageLatent,
            controls: [ActingTime(start: 0.1, end: 0.7, isConditionalOnly: true)],
            adapters: [ActingTime(), ActingTime()])
        return SamplerRun(
            sampler: sampler, branches: plain.branches, image: 7, initialLatent: trial.initialLatent, wants: .latents)
    }

    @Test func anOrderArrivesAsItLeft() throws {
        let run = try run()
        let found = try SamplerRun(decoding: try run.encoded())
        #expect(found.sampler.parameters == run.sampler.parameters)
        #expect(found.sampler.scheduler.configuration == run.sampler.scheduler.configuration)
        #expect(found.sampler.scheduler.cumulativeAlphas == run.sampler.scheduler.cumulativeAlphas)
        #expect(found.sampler.scheduler.file == "a.json")
        #expect(found.sampler.mask == run.sampler.mask)
        #expect(found.sampler.imageLatent == run.sampler.imageLatent)
        #expect(found.sampler.plan == run.sampler.plan)
        #expect(found.branches == run.branches)
        #expect(found.image == 7 && found.initialLatent == run.initialLatent && found.wants == .latents)
    }

    @Test func aDamagedOrderIsRefused() throws {
        let bytes = try run().encoded()
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: Failure.self) { try SamplerRun(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: Failure.self) { try SamplerRun(decoding: bytes + [0]) }
        // Whatever byte is changed, it is read or refused.
        for index in stride(from: 0, to: bytes.count, by: 3) {
            var damaged = bytes
            damaged[index] ^= 0xff
            _ = try? SamplerRun(decoding: damaged)
        }
    }

    @Test func aResultArrivesAsItLeft() throws {
        let run = try run()
        let latent = Latent(repeating: -0.0, channels: 4, height: 8, width: 9)
        for loss in [nil, LossValues(total: 1, background: .leastNonzeroMagnitude, semantic: -0.0)] {
            let result = SampledLatent(
                latent: latent, loss: loss, gradientSteps: .init(count: 3, seconds: 0.1),
                denoisingSteps: .init(count: 6, seconds: 1e-9))
            let bytes = result.encoded
            #expect(try SampledLatent(decoding: bytes, of: run) == result)
            for count in bytes.indices {
                #expect(throws: Failure.self) { try SampledLatent(decoding: Array(bytes[..<count]), of: run) }
            }
        }
        let other = SampledLatent(latent: Latent(channels: 4, height: 9, width: 8)).encoded
        #expect(throws: Failure.self) { try SampledLatent(decoding: other, of: run) }
    }
}
