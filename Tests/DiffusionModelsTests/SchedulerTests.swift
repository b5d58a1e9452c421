import DiffusionModels
import Failures
import Foundation
import Testing

/// What diffusers' DDIMScheduler does (scripts/fixtures/make_method_fixtures.py).
private struct SchedulerFixture: Decodable {
    struct Record: Decodable {
        let timestep: Int
        let latent, output, previous, clean, noised: [Float]
    }
    struct Run: Decodable {
        let config: SchedulerConfiguration
        let steps: Int
        let timesteps: [Int]
        let records: [Record]
        let alphas: [[Float]]
    }
    struct Spacing: Decodable {
        let config: SchedulerConfiguration
        let digest: String
    }
    let steps: [Run]
    let spacings: [Spacing]

    static func load() throws -> SchedulerFixture {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/ddim.json")
        return try JSONDecoder().decode(SchedulerFixture.self, from: Data(contentsOf: file))
    }
}

private func picture(_ values: [Float]) -> Latent {
    Latent(channels: 1, height: 2, width: values.count / 2, values: values)
}

/// The largest difference, relative to the largest expected value.
private func difference(_ found: Latent, _ expected: [Float]) -> Float {
    let scale = expected.map(abs).max() ?? 0
    return zip(found.values, expected).map { abs($0 - $1) }.max().map { $0 / max(scale, 1e-30) } ?? .infinity
}

@Suite struct SchedulerTests {
    @Test func timestepsAndAlphasAreThoseOfDiffusers() throws {
        for run in try SchedulerFixture.load().steps {
            let scheduler = try DDIMScheduler(run.config)
            #expect(try scheduler.timesteps(steps: run.steps) == run.timesteps)
            for pair in run.alphas {
                // Float32 sums in torch.linspace depend on the vector width: a few units in the last place.
                let found = scheduler.cumulativeAlphas[Int(pair[0])]
                #expect(abs(found - pair[1]) <= 1e-6 * pair[1], "\(run.config) at \(pair[0])")
            }
        }
    }

    @Test func stepsAreThoseOfDiffusers() throws {
        for run in try SchedulerFixture.load().steps {
            let scheduler = try DDIMScheduler(run.config)
            for record in run.records {
                let (latent, output) = (picture(record.latent), picture(record.output))
                let next = scheduler.step(
                    modelOutput: output, latent: latent, timestep: record.timestep, steps: run.steps)
                #expect(difference(next, record.previous) < 1e-6, "\(run.config) at \(record.timestep)")
                let noised = scheduler.addNoise(output, to: latent, timestep: record.timestep)
                #expect(difference(noised, record.noised) < 1e-6)
                if !run.config.clipSample {
                    let clean = scheduler.reconstruction(at: record.timestep)
                        .clean(latent: latent, modelOutput: output)
                    #expect(difference(clean, record.clean) < 1e-6)
                }
            }
        }
    }

    @Test func everyNumberOfStepsIsSpacedAsInNumPy() throws {
        for spacing in try SchedulerFixture.load().spacings {
            let scheduler = try DDIMScheduler(spacing.config)
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for steps in 1...scheduler.trainingTimesteps {
                let timesteps = try scheduler.timesteps(steps: steps)
                for word in [timesteps.count] + timesteps {
                    hash = (hash ^ UInt64(word)) &* 0x0000_0100_0000_01b3
                }
            }
            #expect(hash == UInt64(spacing.digest, radix: 16), "\(spacing.config)")
        }
    }

    /// ztilde = a z + b output, and the three predictions say the same about one pair of clean sample and noise.
    @Test func reconstructionsInvertTheForwardProcess() throws {
        let clean = picture([0.5, -1, 2, 0.25])
        let noise = picture([-0.75, 0.5, 1, -2])
        let abar: Float = 0.3
        let z = clean.zipped(with: noise) { abar.squareRoot() * $0 + (1 - abar).squareRoot() * $1 }
        let velocity = clean.zipped(with: noise) { abar.squareRoot() * $1 - (1 - abar).squareRoot() * $0 }
        let outputs: [(SchedulerConfiguration.PredictionType, Latent)] = [
            (.epsilon, noise), (.velocity, velocity), (.sample, clean),
        ]
        for (type, output) in outputs {
            let reconstruction = Reconstruction(cumulativeAlpha: abar, predictionType: type)
            #expect(difference(reconstruction.clean(latent: z, modelOutput: output), clean.values) < 1e-6)
            #expect(difference(reconstruction.noise(latent: z, modelOutput: output), noise.values) < 1e-6)
            let (a, b) = (reconstruction.latentFactor, reconstruction.outputFactor)
            #expect(difference(z.zipped(with: output) { a * $0 + b * $1 }, clean.values) < 1e-6)
        }
    }
}

@Suite struct SchedulerConfigurationTests {
    private func read(_ json: String) throws -> SchedulerConfiguration {
        try SchedulerConfiguration(json: Data(json.utf8), file: "scheduler_config.json")
    }

    @Test func missingKeysTakeTheDefaultsOfDDIM() throws {
        let found = try read(#"{"_class_name": "EulerDiscreteScheduler", "beta_end": 0.012, "trained_betas": null}"#)
        #expect(found.betaEnd == 0.012 && found.betaStart == 0.0001 && found.betaSchedule == .linear)
        #expect(found.clipSample && found.isClipSampleDefaulted && found.clipSampleRange == 1)
        #expect(found.setAlphaToOne && found.stepsOffset == 0 && found.trainedBetas == nil)
        #expect(found.predictionType == .epsilon && found.timestepSpacing == .leading)
        #expect(try !read(#"{"clip_sample": true}"#).isClipSampleDefaulted)
    }

    @Test(arguments: [
        (#"{"beta_schedule": "exponential"}"#, ["beta_schedule", "scaled_linear", "exponential"]),
        (#"{"prediction_type": "flow"}"#, ["prediction_type", "v_prediction", "flow"]),
        (#"{"timestep_spacing": "log"}"#, ["timestep_spacing", "trailing", "log"]),
        (#"{"num_train_timesteps": 0}"#, ["num_train_timesteps", "0"]),
        (#"{"num_train_timesteps": 9000000000000}"#, ["num_train_timesteps", "9000000000000"]),
        (#"{"num_train_timesteps": "many"}"#, ["num_train_timesteps: expected a whole number from 1", "\"many\""]),
        (#"{"beta_start": "many"}"#, ["beta_start: expected a number, found \"many\""]),
        (#"{"clip_sample": 3}"#, ["clip_sample: expected true or false, found 3"]),
        (#"{"trained_betas": {}}"#, ["trained_betas: expected a list of numbers, found an object"]),
        (#"{"trained_betas": [0.1, []]}"#, ["trained_betas[1]: expected a number, found []"]),
        (#"{"thresholding": 1.5}"#, ["thresholding: expected true or false, found 1.5"]),
        (#"{"beta_start": -1}"#, ["beta_start", "-1"]),
        (#"{"beta_end": 1e300}"#, ["beta_end", "1e+300"]),
        (#"{"beta_start": 0.5, "beta_end": 0.1}"#, ["beta_end", "0.5", "0.1"]),
        (#"{"trained_betas": [0.1]}"#, ["trained_betas", "1 betas"]),
        (#"{"num_train_timesteps": 1, "trained_betas": [1.5]}"#, ["trained_betas", "1.5"]),
        (#"{"steps_offset": -3}"#, ["steps_offset", "-3"]),
        (#"{"clip_sample_range": 0}"#, ["clip_sample_range", "0"]),
        (#"{"thresholding": true}"#, ["thresholding"]),
        (#"[1, 2"#, []),
        (#"[]"#, []),
    ])
    func badValuesAreNamed(json: String, words: [String]) throws {
        let failure = try #require(throws: Failure.self) { try read(json) }
        #expect(failure.kind == .badData)
        for word in ["scheduler_config.json"] + words {
            #expect(failure.message.contains(word), "\(failure.message)")
        }
        #expect(!failure.message.contains("\n"))
    }

    @Test func aMissingFileIsMissingInput() throws {
        let failure = try #require(throws: Failure.self) {
            try SchedulerConfiguration(contentsOf: URL(fileURLWithPath: "/nowhere/scheduler_config.json"))
        }
        #expect(failure.kind == .missingInput && failure.message.contains("/nowhere/scheduler_config.json"))
    }

    @Test func stepsThatDontFitAreRefused() throws {
        var configuration = SchedulerConfiguration()
        configuration.stepsOffset = 1
        let scheduler = try DDIMScheduler(configuration)
        for steps in [0, -1, 1000, 1001, Int.max] {
            let failure = try #require(throws: Failure.self) { try scheduler.validate(steps: steps) }
            #expect(failure.kind == .usage && failure.message.contains("steps"))
        }
        try scheduler.validate(steps: 999)
    }

    /// What a refusal says to be possible is possible, and nothing between that and what was asked for.
    @Test(arguments: [0, 1, 10, 500, 999])
    func theRangeOfStepsIsTheSchedulesOwn(offset: Int) throws {
        var configuration = SchedulerConfiguration()
        configuration.stepsOffset = offset
        let scheduler = try DDIMScheduler(configuration)
        let isPossible = (0...1000).map { (try? scheduler.validate(steps: $0)) != nil }
        #expect(isPossible[999] == (offset <= 1) && isPossible[1000] == (offset == 0))
        for steps in 1...1001 where steps > 1000 || !isPossible[steps] {
            let failure = try #require(throws: Failure.self) { try scheduler.validate(steps: steps) }
            let said = failure.message.firstMatch(of: /expected 1 to (?<most>[0-9]+),/)?.output.most
            let named = failure.message.firstMatch(of: /; (?<most>[0-9]+) can be done/)?.output.most
            let most = try #require((said ?? named).flatMap { Int($0) })
            #expect(most == isPossible.prefix(steps).lastIndex(of: true), "\(failure.message)")
        }
    }

    @Test func betasTooSmallForFloat32AreRefused() throws {
        var configuration = SchedulerConfiguration()
        configuration.trainingTimesteps = 2
        configuration.trainedBetas = [1e-12, 1e-12]
        let failure = try #require(throws: Failure.self) { try DDIMScheduler(configuration, file: "s.json") }
        #expect(failure.kind == .badData && failure.message.hasPrefix("s.json: betas: "))
    }

    @Test func pureNoiseNeedsAModelThatCanRecoverFromIt() throws {
        var configuration = SchedulerConfiguration()
        configuration.rescaleBetasZeroSNR = true
        configuration.timestepSpacing = .trailing
        #expect(throws: Failure.self) { try DDIMScheduler(configuration).validate(steps: 10) }
        configuration.predictionType = .velocity
        try DDIMScheduler(configuration).validate(steps: 10)
    }
}
