import DiffusionModels
import MessagePassing
import Synchronization
import TensorKernels

/// What the ranks of a replica send each other for an evaluation of both branches, in bytes.
///
/// Counted by sending the pass through the very stages and strips, which compute nothing meanwhile, and by encoding the
/// very messages: so it is what a run of the same layout sends, exactly. Without ControlNets and adapters.
public struct PassTraffic: Sendable, Equatable {
    /// Of each rank, for an evaluation that asks for no gradient.
    public let forward: [Int]
    /// Of each rank, there and back.
    public let withGradient: [Int]

    /// - Parameters:
    ///   - latent: the size at which the UNet works.
    ///   - tokens: of a prompt.
    /// - Throws: `Failure` when a stage can't be gone through.
    public init(
        _ unet: UNetConfiguration, _ layout: Layout, latent: (height: Int, width: Int), tokens: Int,
        elementType: ElementType
    ) throws {
        let chain = Chain(unet, layout, latent: latent, tokens: tokens, elementType: elementType)
        func counted(isRecorded: Bool) throws -> [Int] {
            var sent = [Int](repeating: 0, count: layout.ranksOfReplica)
            let way = try chain.way(isRecorded: isRecorded)
            for branch in GuidanceBranch.allCases {
                for (rank, bytes) in chain.sent(on: way, of: branch) { sent[rank] += bytes }
            }
            return sent
        }
        forward = try counted(isRecorded: false)
        withGradient = try counted(isRecorded: true)
    }
}

/// One branch's way through the stages of a replica.
private struct Chain {
    private let unet: UNetConfiguration
    private let layout: Layout
    private let inputs: BranchInputs
    private let elementType: ElementType
    private let latent: Latent

    init(
        _ unet: UNetConfiguration, _ layout: Layout, latent: (height: Int, width: Int), tokens: Int,
        elementType: ElementType
    ) {
        func zeros(_ channels: Int) -> Latent {
            Latent(
                channels: channels, height: latent.height, width: latent.width,
                values: [Float](repeating: 0, count: channels * latent.height * latent.width))
        }
        self.unet = unet
        self.layout = layout
        self.elementType = elementType
        self.latent = zeros(unet.outputChannels)
        let width = unet.crossAttentionDimension
        inputs = BranchInputs(
            embedding: [Float](repeating: 0, count: tokens * width), tokens: tokens, width: width, mask: zeros(1),
            maskedImageLatent: unet.takesMaskedImage ? zeros(unet.outputChannels) : nil)
    }

    /// A leg on a stage.
    struct Stop {
        let leg: Leg
        let stage: Int
        /// Whether its input comes from the driver.
        let isFirst: Bool
        /// Whether its result goes there.
        let isLast: Bool
    }

    /// A pass with what goes into every stop, and what each strip of each stage gives other strips.
    struct Way {
        let settings: PassSettings
        let stops: [Stop]
        let values: [StageValue]
        let given: [[Int]]
    }

    /// The same for both branches.
    func way(isRecorded: Bool) throws -> Way {
        let settings = PassSettings(timestep: 1, masking: [], isRecorded: isRecorded)
        let stops = stops(isRecorded: isRecorded)
        let (values, first) = try through(stops, strip: 0, inputs: nil, settings)
        // What the first strips give goes on from stage to stage, and on each stage to the other strips.
        let others = try (1..<layout.strips).map { try through(stops, strip: $0, inputs: values, settings).given }
        return Way(settings: settings, stops: stops, values: values, given: [first] + others)
    }

    /// What each rank of the replica sends for one pass.
    func sent(on way: Way, of branch: GuidanceBranch) -> [Int: Int] {
        let pass = Self.pass(of: branch)
        let (driver, chain) = (layout.chain(of: .unconditional, replica: 0)[0], layout.chain(of: branch, replica: 0))
        var sent: [Int: Int] = [:]
        func send(_ message: StageMessage, from rank: Int, to other: Int) {
            let (head, payload) = message.encoded()
            if rank != other { sent[rank, default: 0] += head.count + (payload?.withUnsafeBytes { $0.count } ?? 0) }
        }
        func tellStrips(_ message: StageMessage, _ rank: Int) {
            for strip in 1..<layout.strips { send(message, from: rank, to: rank + strip) }
        }
        for (strip, bytes) in way.given.enumerated() {
            for (stage, bytes) in bytes.enumerated() { sent[chain[stage] + strip, default: 0] += bytes }
        }
        var source = driver
        for (stop, value) in zip(way.stops, way.values) {
            let rank = chain[stop.stage]
            let message = StageMessage.leg(pass, stop.leg, way.settings, value)
            send(message, from: stop.isFirst ? driver : source, to: rank)
            tellStrips(message, rank)
            if stop.isLast { send(.result(pass, isGradient: stop.leg.isGradient, latent), from: rank, to: driver) }
            source = rank
        }
        // A pass that is over is forgotten by all strips.
        for rank in chain { tellStrips(.discard(pass), rank) }
        return sent
    }

    private static func pass(of branch: GuidanceBranch) -> PassIdentity {
        PassIdentity(job: JobIdentity(number: 1), branch: branch, number: 1)
    }

    /// In their order.
    private func stops(isRecorded: Bool) -> [Stop] {
        func thereAndBack(_ there: Leg, _ back: Leg) -> [Stop] {
            let stages = layout.stages.indices
            let legs = stages.map { (there, $0) } + stages.dropLast().reversed().map { (back, $0) }
            return legs.enumerated().map { index, leg in
                Stop(leg: leg.0, stage: leg.1, isFirst: index == 0, isLast: index == legs.count - 1)
            }
        }
        return thereAndBack(.down, .up) + (isRecorded ? thereAndBack(.upGradient, .downGradient) : [])
    }

    /// Runs one strip of every stage.
    ///
    /// - Parameter inputs: of every stop; nil for what comes of the one before.
    /// - Returns: the inputs, and how many bytes the strip of each stage gives other strips.
    private func through(
        _ stops: [Stop], strip: Int, inputs: [StageValue]?, _ settings: PassSettings
    ) throws -> (inputs: [StageValue], given: [Int]) {
        let context = try ComputeContext(countingIn: elementType)
        let exchanges = layout.stages.map { _ in CountingExchange(strip: strip) }
        let pass = Self.pass(of: .unconditional)
        let passes = try zip(layout.stages, exchanges).map { rungs, exchange in
            let stage = UNetStage(unet, rungs: rungs, weights: RecordingWeights())
            let evaluator = UNetStageEvaluator(
                stage, context: context, strips: layout.strips, exchange: layout.strips > 1 ? exchange : nil)
            try evaluator.open(pass.job, pass.branch, rungs.lowerBound == 0 ? self.inputs : self.inputs.belowFirstStage)
            return try evaluator.begin(pass, settings)
        }
        var taken: [StageValue] = []
        var value = StageValue.latent(latent)
        for (index, stop) in stops.enumerated() {
            value = inputs?[index] ?? (stop.isFirst ? .latent(latent) : value)
            taken.append(value)
            value = try passes[stop.stage].run(stop.leg, value)
        }
        return (taken, exchanges.map(\.bytes))
    }
}

/// Counts what a strip gives, and gets nothing.
private final class CountingExchange: StripExchange {
    let strip: Int
    private let given = Mutex(0)

    init(strip: Int) { self.strip = strip }

    var bytes: Int { given.withLock { $0 } }

    func begin(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) -> any StripTransfer {
        given.withLock { $0 += outgoing.reduce(0) { $0 + $1.bytes.count } }
        return Nothing()
    }

    private struct Nothing: StripTransfer {
        func wait(for strip: Int) {}
        func hasCome(from strip: Int) -> Bool { true }
        func finish() {}
    }
}
