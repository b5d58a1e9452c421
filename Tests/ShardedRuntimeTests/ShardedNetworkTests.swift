import DiffusionModels
import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TensorKernels
import TestSupport
import Testing

/// Driver, servers and stages of a tiny UNet, with ranks inside this process.
@Suite struct ShardedNetworkTests {
    /// Runs `body` on rank 0's network while the other ranks serve.
    private func withNetwork<Value: Sendable>(
        _ model: StageModel, _ layout: Layout, jobsInFlight: Int = 3, threads: Int = 1,
        elementType: ElementType = .float32, failing: GuidanceBranch? = nil,
        _ body: @escaping @Sendable (ShardedNetwork) async throws -> Value
    ) async throws -> Value {
        var ranks = LocalRanks(model, layout)
        ranks.jobsInFlight = jobsInFlight
        ranks.threads = threads
        ranks.elementType = elementType
        ranks.failing = failing
        return try await ranks.withNetwork(nil, body)
    }

    /// Every rank has let go of all passes, now or as soon as the discards that are under way have come to it.
    private func expectNothingKept(_ network: ShardedNetwork) async throws {
        for _ in 0..<200 {
            if try await network.reports().allSatisfy({ $0.keptPullbacks == 0 }) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("passes are kept: \(try await network.reports().map(\.keptPullbacks)), \(network.layout)")
    }

    private func fingerprints(
        _ model: StageModel, _ layout: Layout, jobs: Int, threads: Int = 1, elementType: ElementType = .float32
    ) async throws -> [String] {
        try await withNetwork(model, layout, threads: threads, elementType: elementType) { network in
            let results = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for number in 0..<jobs {
                    let job = TrialJob(model.configuration, height: 9, width: 12, steps: 5, number: number)
                    group.addTask { (number, try await job.run(on: network).fingerprint) }
                }
                return try await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
            }
            try await expectNothingKept(network)
            return (0..<jobs).compactMap { results[$0] }
        }
    }

    /// Every factorisation of up to 8 ranks gives the bits of one rank, for a job alone and among others.
    @Test(arguments: [
        ("sd1", ElementType.float32), ("sd1", .bfloat16), ("odd", .float32), ("odd", .bfloat16), ("inpaint", .float32),
    ])
    func everyLayoutGivesTheSameBits(name: String, elementType: ElementType) async throws {
        let model = try StageModel(fixture: name)
        let alone = try await fingerprints(
            model, .alone(rungs: model.configuration.rungCount), jobs: 1, elementType: elementType)
        let among = try await fingerprints(
            model, .alone(rungs: model.configuration.rungCount), jobs: 3, elementType: elementType)
        #expect(Set(among).count == 3, "different jobs have different results")
        #expect(alone[0] == among[0])
        for replicas in 1...8 {
            for branches in 1...2 {
                for stages in 1...8
                where replicas * branches * stages <= 8 && stages <= model.configuration.rungCount {
                    // Of nine rows at most.
                    for strips in [1, 2, 3, 5, 8] where replicas * branches * stages * strips <= 8 {
                        let layout = try model.layout(
                            replicas: replicas, branches: branches, stages: stages, strips: strips)
                        let found = try await fingerprints(model, layout, jobs: 3, elementType: elementType)
                        #expect(found == among, "\(layout)")
                    }
                }
            }
        }
    }

    /// Both chains encode and decode a picture together, while their own passes are under way.
    @Test(arguments: ["sd1", "odd"])
    func sharedPicturesHaveTheSameBits(name: String) async throws {
        let model = try StageModel(fixture: name)
        let alone = try await fingerprints(model, .alone(rungs: model.configuration.rungCount), jobs: 3)
        for (replicas, stages) in [(1, 1), (1, 3), (2, 1), (2, 2)] {
            let layout = try model.layout(replicas: replicas, branches: 2, stages: stages, sharesPictures: true)
            #expect(layout.pictureTeam(of: replicas - 1).count == 2)
            #expect(try await fingerprints(model, layout, jobs: 3) == alone, "\(layout)")
        }
        // With strips in each chain, for one picture at a time.
        for (stages, strips) in [(1, 2), (2, 2), (1, 3)] {
            let layout = try model.layout(branches: 2, stages: stages, strips: strips, sharesPictures: true)
            #expect(layout.pictureTeam(of: 0).count == 2 * strips)
            #expect(try await fingerprints(model, layout, jobs: 1) == [alone[0]], "\(layout)")
        }
    }

    /// Latent, mask and masked image meet on the first stage: noise within 2e-5 of what diffusers says in float64, the
    /// latent's gradient within 1e-4. scripts/fixtures/make_model_fixtures.py.
    @Test(arguments: [1, 2], [1, 4])
    func anInpaintingNetworkIsThatOfDiffusers(branches: Int, stages: Int) async throws {
        let model = try StageModel(fixture: "inpaint")
        let golden = try SafetensorsFile(path: "\(model.folder.path)/golden.safetensors")
        func tensor(_ name: String) throws -> StoredTensor { try #require(golden.tensors[name], "\(name)") }
        func latent(_ name: String) throws -> Latent {
            let stored = try tensor(name)
            let shape = stored.shape.count == 2 ? [1] + stored.shape : stored.shape
            return Latent(channels: shape[0], height: shape[1], width: shape[2], values: stored.float32Values())
        }
        func error(_ found: Latent, _ name: String) throws -> Float {
            let expected = try latent(name)
            try #require(found.shape == expected.shape)
            let largest = zip(found.values, expected.values).map { abs($0 - $1) }.max() ?? .infinity
            return largest / (expected.values.map(abs).max() ?? 0)
        }
        let embedding = try tensor("unet.embedding")
        let inputs = BranchInputs(
            embedding: embedding.float32Values(), tokens: embedding.shape[0], width: embedding.shape[1],
            mask: try latent("unet.latent_mask"), maskedImageLatent: try latent("unet.masked_image_latent"))
        let evaluation = Evaluation(
            branch: .conditional, latent: try latent("unet.latent"), timestep: 981,
            masking: [.crossAttention, .selfAttention])
        let cotangent = try latent("unet.cotangent")
        let layout = try model.layout(branches: branches, stages: stages)
        let (noise, gradient) = try await withNetwork(model, layout) { network in
            let predictor = try await network.openJob([inputs, inputs])
            defer { predictor.close() }
            let (noise, pullback) = try await predictor.noiseWithPullback(evaluation)
            return (noise, try await pullback(cotangent))
        }
        #expect(try error(noise, "unet.t0981.cross_and_self_mask.output") < 2e-5)
        #expect(try error(gradient, "unet.t0981.cross_and_self_mask.input_gradient") < 1e-4)
    }

    /// A job without what the network takes, or with more, is an error and not the end of a rank.
    @Test func aJobMustHaveWhatTheNetworkTakes() async throws {
        for (name, other) in [("sd1", "inpaint"), ("inpaint", "sd1")] {
            let model = try StageModel(fixture: name)
            let job = TrialJob(try StageModel(fixture: other).configuration, height: 8, width: 8, steps: 1)
            let layout = try model.layout(branches: 1, stages: 2)
            try await withNetwork(model, layout) { network in
                let failure = await #expect(throws: Failure.self) { try await job.run(on: network) }
                #expect(failure?.kind == .internalFault && failure?.message.contains("masked image") == true)
            }
        }
    }

    @Test func threadsMakeNoDifference() async throws {
        let model = try StageModel(fixture: "odd")
        let one = try await fingerprints(model, model.layout(branches: 1, stages: 2), jobs: 2)
        let two = try await fingerprints(model, model.layout(branches: 2, stages: 2), jobs: 2, threads: 2)
        #expect(one == two)
    }

    /// More jobs than credits: the rest wait, and all end.
    @Test func jobsBeyondTheCreditsWait() async throws {
        let model = try StageModel(fixture: "sd1")
        let found = try await fingerprints(model, try model.layout(branches: 1, stages: 3), jobs: 10)
        #expect(Set(found).count == 10)
    }

    @Test(arguments: [1, 3], GuidanceBranch.allCases)
    func aStagesFailureIsThrownOnRankZero(stages: Int, failing: GuidanceBranch) async throws {
        let model = try StageModel(fixture: "sd1")
        let layout = try model.layout(branches: 1, stages: stages)
        try await withNetwork(model, layout, failing: failing) { network in
            let job = TrialJob(model.configuration, height: 8, width: 8, steps: 2)
            let failure = await #expect(throws: Failure.self) { try await job.run(on: network) }
            #expect(failure?.kind == .badData)
            #expect(failure?.message.hasSuffix("unet.safetensors: broken") == true)
            #expect(failure?.message.hasPrefix("rank \(stages - 1) on ") == (stages > 1))
            // The next job is served, and nothing of the failed one is kept.
            try await expectNothingKept(network)
        }
    }

    /// A branch has one pass under way: a second is an error and not one too many on every stage.
    @Test func aSecondPassOfABranchIsRefused() async throws {
        let model = try StageModel(fixture: "sd1")
        try await withNetwork(model, try model.layout(branches: 1, stages: 2)) { network in
            let mask = Latent(channels: 1, height: 8, width: 8)
            let width = model.configuration.crossAttentionDimension
            let inputs = BranchInputs(
                embedding: [Float](repeating: 0, count: 2 * width), tokens: 2, width: width, mask: mask)
            let predictor = try await network.openJob([inputs, inputs])
            let evaluation = Evaluation(
                branch: .conditional,
                latent: Latent(repeating: 1, channels: model.configuration.inputChannels, height: 8, width: 8),
                timestep: 1, masking: [])
            let first = try await predictor.noiseWithPullback(evaluation)
            await #expect(throws: Failure.self) { try await predictor.noise(evaluation) }
            _ = try await first.pullback(first.noise)
            _ = try await predictor.noise(evaluation)
            predictor.close()
            await #expect(throws: Failure.self) { try await predictor.noise(evaluation) }
        }
    }

    /// A cancelled job frees what it holds on every stage, and its room.
    @Test func cancellingFreesEverything() async throws {
        let model = try StageModel(fixture: "odd")
        try await withNetwork(model, try model.layout(branches: 2, stages: 3), jobsInFlight: 1) { network in
            for delay in 0..<12 {
                let job = TrialJob(model.configuration, height: 9, width: 9, steps: 50)
                let task = Task { try await job.run(on: network) }
                try await Task.sleep(for: .milliseconds(delay * 3))
                task.cancel()
                _ = await task.result
            }
            try await expectNothingKept(network)
            let job = TrialJob(model.configuration, height: 9, width: 9, steps: 2)
            _ = try await job.run(on: network)
        }
    }

    /// The networks around the UNet, on whatever ranks, give what they give here.
    @Test(
        arguments: [
            (1, 3, 1, false), (2, 1, 1, true), (2, 2, 1, true), (1, 1, 3, false), (2, 1, 2, true), (2, 2, 2, true),
            (2, 1, 3, true),
        ])
    func picturesAreWorkedOn(branches: Int, stages: Int, strips: Int, shares: Bool) async throws {
        let model = try StageModel(fixture: "sd1")
        let context = try ComputeContext(threads: 1)
        let autoencoder = Autoencoder(
            try model.folder.vaeConfiguration(), weights: CheckpointWeights(try model.folder.weights(of: .vae)))
        let factor = autoencoder.configuration.downsamplingFactor
        let picture = Latent(
            channels: 3, height: 4 * factor, width: 5 * factor,
            values: (0..<60 * factor * factor).map { Float($0 % 71) / 35 - 1 })
        let latent = try autoencoder.encode(
            picture.values, height: picture.height, width: picture.width, in: context)
        let decoded = try autoencoder.decode(latent, in: context)
        let layout = try model.layout(branches: branches, stages: stages, strips: strips, sharesPictures: shares)
        // A strip that fails leaves the others waiting, so the job ends with it.
        let failsAlone = layout.pictureTeam(of: 0).count == 1
        try await withNetwork(model, layout) { network in
            let found = try await network.encode(picture)
            #expect(found == latent)
            #expect(try await network.decode(found).values == decoded)
            #expect(try await network.embed(TokenChunk(ids: [1, 2, 3])).height == 3)
            guard failsAlone else { return }
            // What the networks can't take is a failure, never the end of a rank.
            await #expect(throws: Failure.self) { try await network.embed(TokenChunk(ids: [])) }
            await #expect(throws: Failure.self) {
                try await network.embed(TokenChunk(ids: [Int32](repeating: 1, count: 100_000)))
            }
            await #expect(throws: Failure.self) { try await network.embed(TokenChunk(ids: [1, -1])) }
            await #expect(throws: Failure.self) { try await network.embed(TokenChunk(ids: [1, 1 << 20])) }
            await #expect(throws: Failure.self) { try await network.embed(TokenChunk(ids: [1], vectors: [1])) }
            await #expect(throws: Failure.self) {
                try await network.encode(Latent(channels: 1, height: factor, width: factor))
            }
            await #expect(throws: Failure.self) {
                try await network.encode(Latent(channels: 3, height: factor + 1, width: factor))
            }
            await #expect(throws: Failure.self) { try await network.decode(Latent(channels: 1, height: 2, width: 2)) }
            #expect(try await network.encode(picture) == latent)
        }
    }
}
