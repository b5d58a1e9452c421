import DiffusionModels
import MessagePassing
import ShardedRuntime
import TensorKernels
import TestSupport
import Testing

/// What the plan says a pass sends, against what the ranks send.
@Suite struct PassTrafficTests {
    /// Bytes that every rank of the layout sends while `body` runs: the least of three times, for the ranks' watch over each
    /// other adds a message now and then.
    private func sent(
        _ model: StageModel, _ layout: Layout, elementType: ElementType,
        _ body: @escaping @Sendable (StagePredictor) async throws -> Void
    ) async throws -> [Int] {
        let communicators = LocalCommunicator.group(of: layout.ranks)
        @Sendable func workers(_ rank: Int) async throws -> StageWorkers {
            try await model.workers(
                of: rank, in: layout, wires: StripWires(layout, communicator: communicators[rank]),
                elementType: elementType)
        }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for rank in 1..<layout.ranks {
                group.addTask {
                    try await ShardedNetwork.serve(
                        layout: layout, jobsInFlight: 1, communicator: communicators[rank],
                        workers: try await workers(rank), observation: LocalRanks.leftAlone,
                        take: TrialJob.taker(model.configuration))
                }
            }
            let network = ShardedNetwork(
                layout: layout, jobsInFlight: 1, communicator: communicators[0], workers: try await workers(0),
                observation: LocalRanks.leftAlone)
            let inputs = TrialJob(model.configuration, height: Self.height, width: Self.width, steps: 1).inputs
            let predictor = try await network.openJob(inputs)
            // Opening the job is under way until an evaluation is through.
            try await Self.noise(predictor, Self.latent(model))
            var least = [Int](repeating: .max, count: layout.ranks)
            for _ in 0..<3 {
                let before = try await Self.settled(communicators)
                try await body(predictor)
                let after = try await Self.settled(communicators)
                least = zip(least, zip(after, before)).map { min($0, $1.0 - $1.1) }
            }
            predictor.close()
            network.stop()
            try await group.waitForAll()
            return least
        }
    }

    /// Bytes that every rank has sent when none sends any more: strips are told that a pass is over after its result is
    /// there.
    private static func settled(_ communicators: [LocalCommunicator]) async throws -> [Int] {
        var (bytes, timesEqual) = (communicators.map(\.traffic.sentBytes), 0)
        while timesEqual < 5 {
            try await Task.sleep(for: .milliseconds(10))
            let now = communicators.map(\.traffic.sentBytes)
            timesEqual = now == bytes ? timesEqual + 1 : 0
            bytes = now
        }
        return bytes
    }

    private static let (height, width, tokens) = (12, 9, 21)

    private static func latent(_ model: StageModel) -> Latent {
        let channels = model.configuration.outputChannels
        return Latent(
            channels: channels, height: height, width: width,
            values: [Float](repeating: 0.5, count: channels * height * width))
    }

    private static func evaluation(_ branch: GuidanceBranch, _ latent: Latent) -> Evaluation {
        Evaluation(branch: branch, latent: latent, timestep: 500, masking: [])
    }

    private static func noise(_ predictor: StagePredictor, _ latent: Latent) async throws {
        for branch in GuidanceBranch.allCases { _ = try await predictor.noise(evaluation(branch, latent)) }
    }

    @Test(
        arguments: ["sd1", "odd", "inpaint"],
        [(1, 2, 1), (1, 1, 2), (2, 1, 1), (2, 2, 1), (1, 3, 2), (2, 1, 3), (1, 1, 5), (2, 2, 2)])
    func ranksSendWhatThePlanSays(name: String, shape: (branches: Int, stages: Int, strips: Int)) async throws {
        let model = try StageModel(fixture: name)
        guard shape.stages <= model.configuration.rungCount else { return }
        let layout = try model.layout(branches: shape.branches, stages: shape.stages, strips: shape.strips)
        for elementType in ElementType.allCases {
            let planned = try PassTraffic(
                model.configuration, layout, latent: (Self.height, Self.width), tokens: Self.tokens,
                elementType: elementType)
            let latent = Self.latent(model)
            let forward = try await sent(model, layout, elementType: elementType) { predictor in
                try await Self.noise(predictor, latent)
            }
            let withGradient = try await sent(model, layout, elementType: elementType) { predictor in
                for branch in GuidanceBranch.allCases {
                    let pass = try await predictor.noiseWithPullback(Self.evaluation(branch, latent))
                    _ = try await pass.pullback(latent)
                }
            }
            #expect(forward == planned.forward, "\(layout), \(elementType)")
            #expect(withGradient == planned.withGradient, "\(layout), \(elementType), with gradient")
            #expect(forward.reduce(0, +) > 0)
        }
    }
}
