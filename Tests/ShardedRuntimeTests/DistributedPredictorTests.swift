import DiffusionModels
import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport
import Testing

/// The predictor and its servers, with ranks inside this process.
@Suite struct DistributedPredictorTests {
    /// Runs `body` on rank 0's predictor while the other ranks serve.
    private func withPredictor<Value: Sendable>(
        ranks: Int, evaluators: [ToyEvaluator], _ body: @Sendable (DistributedPredictor) async throws -> Value
    ) async throws -> Value {
        let communicators = LocalCommunicator.group(of: ranks)
        let threads = try (0..<ranks).map { try DedicatedThread(name: "rank \($0)") }
        // Discards that are under way are done then.
        defer { for thread in threads { thread.stop() } }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for rank in 1..<max(ranks, 1) {
                let server = BranchServer(
                    communicator: communicators[rank], evaluator: evaluators[rank], thread: threads[rank])
                group.addTask { try await server.run() }
            }
            let predictor = DistributedPredictor(
                plan: try Plan(ranks: ranks), communicator: communicators[0], evaluator: evaluators[0],
                thread: threads[0])
            do {
                let value = try await body(predictor)
                predictor.stop()
                try await group.waitForAll()
                return value
            } catch {
                predictor.stop()
                throw error
            }
        }
    }

    @Test(arguments: [(8, 8), (64, 40), (128, 128)])
    func oneRankAndTwoGiveTheSameBits(height: Int, width: Int) async throws {
        let job = ToyJob(height: height, width: width, steps: 6)
        var results: [Latent] = []
        for ranks in [1, 2] {
            let evaluators = (0..<ranks).map { _ in ToyEvaluator() }
            results.append(try await withPredictor(ranks: ranks, evaluators: evaluators) { try await job.run(on: $0) })
        }
        #expect(results[0].shape == [4, height, width])
        #expect(results[0].isFinite)
        #expect(results[0].values.map(\.bitPattern) == results[1].values.map(\.bitPattern))
    }

    @Test(arguments: [1, 2])
    func calledAndDroppedPullbacksAreFreed(ranks: Int) async throws {
        let evaluators = (0..<ranks).map { _ in ToyEvaluator() }
        let reports = try await withPredictor(ranks: ranks, evaluators: evaluators) { predictor in
            _ = try await ToyJob(height: 8, width: 8, steps: 200).run(on: predictor)
            return try await predictor.reports()
        }
        #expect(reports.map(\.rank) == Array(0..<ranks))
        #expect(reports.allSatisfy { $0.keptPullbacks == 0 && $0.peakMemoryBytes > 0 })
        #expect(reports.reduce(0) { $0 + $1.times.forwardCount } == 400)
        #expect(reports.reduce(0) { $0 + $1.times.backwardCount } == 100)
        #expect(evaluators.allSatisfy { $0.livingPullbacks == 0 })
    }

    @Test func aKeptPullbackIsCountedUntilItIsDropped() async throws {
        let evaluators = [ToyEvaluator(), ToyEvaluator()]
        try await withPredictor(ranks: 2, evaluators: evaluators) { predictor in
            _ = try await ToyJob(height: 8, width: 8, steps: 0).run(on: predictor)
            let latent = Latent(repeating: 0.5, channels: 4, height: 8, width: 8)
            func hold() async throws {
                let pass = try await predictor.noiseWithPullback(
                    Evaluation(branch: .conditional, latent: latent, timestep: 1, masking: []))
                let counts = try await predictor.reports().map(\.keptPullbacks)
                #expect(counts == [0, 1])
                withExtendedLifetime(pass.pullback) {}
            }
            try await hold()
            let counts = try await predictor.reports().map(\.keptPullbacks)
            #expect(counts == [0, 0])
        }
        #expect(evaluators[1].livingPullbacks == 0)
    }

    @Test func thePullbackIsTheOneOfItsOwnPass() async throws {
        let evaluators = [ToyEvaluator(), ToyEvaluator()]
        try await withPredictor(ranks: 2, evaluators: evaluators) { predictor in
            _ = try await ToyJob(height: 8, width: 8, steps: 0).run(on: predictor)
            let inputs: [Latent] = [0.1, 0.7].map { Latent(repeating: $0, channels: 4, height: 8, width: 8) }
            let one = Latent(repeating: 1, channels: 4, height: 8, width: 8)
            for branch in GuidanceBranch.allCases {
                let first = try await predictor.noiseWithPullback(
                    Evaluation(branch: branch, latent: inputs[0], timestep: 500, masking: []))
                let second = try await predictor.noiseWithPullback(
                    Evaluation(branch: branch, latent: inputs[1], timestep: 500, masking: []))
                // In another order than they were made. The slope of sin(a z + t) is a cos(a z + t); a = 1 + 22 / 64
                // from the job's mask, where every third of 64 positions is 1.
                let slopes = (try await second.pullback(one), try await first.pullback(one))
                let scale: Float = 1 + 22.0 / 64
                #expect(abs(slopes.0.values[0] - scale * cos(scale * 0.7 + 0.5)) < 1e-6)
                #expect(abs(slopes.1.values[0] - scale * cos(scale * 0.1 + 0.5)) < 1e-6)
            }
        }
    }

    @Test(arguments: [1, 2], GuidanceBranch.allCases)
    func anEvaluatorsFailureIsThrownOnRankZero(ranks: Int, failing: GuidanceBranch) async throws {
        let evaluators = (0..<ranks).map { _ in ToyEvaluator(failing: failing) }
        await #expect {
            try await withPredictor(ranks: ranks, evaluators: evaluators) { predictor in
                _ = try await ToyJob(height: 8, width: 8, steps: 2).run(on: predictor)
            }
        } throws: { error in
            guard let failure = error as? Failure else { return false }
            let isRemote = ranks == 2 && failing == .conditional
            return failure.kind == .badData && failure.message.hasSuffix("unet.safetensors: broken")
                && failure.message.hasPrefix("rank 1 on ") == isRemote
        }
        #expect(evaluators.allSatisfy { $0.livingPullbacks == 0 })
    }
}
