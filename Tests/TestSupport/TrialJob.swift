import DiffusionModels
import MessagePassing
import ShardedRuntime

/// A job that uses a predictor as the method does: both branches at once, some steps with gradients, some without,
/// some pullbacks dropped.
public struct TrialJob: Sendable {
    public let configuration: UNetConfiguration
    public let height: Int
    public let width: Int
    public let steps: Int
    /// Jobs of different numbers paint different things.
    public let number: Int

    public init(_ configuration: UNetConfiguration, height: Int, width: Int, steps: Int, number: Int = 0) {
        self.configuration = configuration
        self.height = height
        self.width = width
        self.steps = steps
        self.number = number
    }

    /// Runs on whichever replica has room for it.
    public func run(on network: ShardedNetwork) async throws -> Latent {
        let room = try await network.room()
        defer { room.leave() }
        guard !room.isHere else {
            let predictor = room.open(inputs)
            defer { predictor.close() }
            return try await run(on: predictor)
        }
        for try await news in room.order(order) {
            guard case .done(let bytes) = news else { continue }
            var reader = ByteReader(bytes, subject: "a trial's result")
            return try reader.readLatent()
        }
        throw CancellationError()
    }

    private var order: [UInt8] {
        var writer = ByteWriter()
        for number in [height, width, steps, number] { writer.write(UInt32(clamping: number)) }
        return writer.bytes
    }

    /// Carries out trial jobs on a replica's driver.
    public static func taker(_ configuration: UNetConfiguration) -> OrderTaker {
        { order, open, _ in
            var reader = ByteReader(order, subject: "a trial job")
            let numbers = try (0..<4).map { _ in Int(try reader.read(UInt32.self)) }
            let job = TrialJob(
                configuration, height: numbers[0], width: numbers[1], steps: numbers[2], number: numbers[3])
            var writer = ByteWriter()
            writer.write(try await job.run(on: open(job.inputs)))
            return writer.bytes
        }
    }

    private func run(on predictor: StagePredictor) async throws -> Latent {
        let channels = configuration.outputChannels
        let values = (0..<channels * height * width).map { Float(($0 * 31 + number * 7) % 97) / 50 - 1 }
        var latent = Latent(channels: channels, height: height, width: width, values: values)
        for step in 0..<steps {
            let timestep = 981 - step % 40 * 20
            let change =
                step % 2 == 0
                ? try await gradient(predictor, latent, timestep, dropping: step % 4 == 2)
                : try await noise(predictor, latent, timestep)
            for index in latent.values.indices { latent.values[index] -= 0.1 * change.values[index] }
        }
        return latent
    }

    /// Of both branches.
    public var inputs: [BranchInputs] {
        let width = configuration.crossAttentionDimension
        let mask = Latent(
            channels: 1, height: height, width: self.width,
            values: (0..<height * self.width).map { $0 % (3 + number) == 0 ? 1 : 0 })
        let masked = Latent(
            channels: configuration.outputChannels, height: height, width: self.width,
            values: (0..<configuration.outputChannels * height * self.width).map {
                Float(($0 * 17 + number * 5) % 89) / 45 - 1
            })
        return GuidanceBranch.allCases.map { branch in
            // A chunk without the prompt, and three with it.
            let tokens = branch == .unconditional ? 7 : 21
            let embedding = (0..<tokens * width).map { Float(($0 + number) % 13 + branch.rawValue) / 10 - 0.6 }
            return BranchInputs(
                embedding: embedding, tokens: tokens, width: width, chunkLength: 7, mask: mask,
                maskedImageLatent: configuration.takesMaskedImage ? masked : nil)
        }
    }

    private func noise(_ predictor: StagePredictor, _ latent: Latent, _ timestep: Int) async throws -> Latent {
        async let unconditional = predictor.noise(
            Evaluation(branch: .unconditional, latent: latent, timestep: timestep, masking: .crossAttention))
        async let conditional = predictor.noise(
            Evaluation(
                branch: .conditional, latent: latent, timestep: timestep, masking: [.crossAttention, .selfAttention]))
        return guide(try await unconditional, try await conditional)
    }

    private func gradient(
        _ predictor: StagePredictor, _ latent: Latent, _ timestep: Int, dropping: Bool
    ) async throws -> Latent {
        async let unconditionalPass = predictor.noiseWithPullback(
            Evaluation(branch: .unconditional, latent: latent, timestep: timestep, masking: []))
        async let conditionalPass = predictor.noiseWithPullback(
            Evaluation(branch: .conditional, latent: latent, timestep: timestep, masking: []))
        let (unconditional, conditional) = (try await unconditionalPass, try await conditionalPass)
        let guided = guide(unconditional.noise, conditional.noise)
        if dropping { return guided }
        async let first = unconditional.pullback(guided)
        async let second = conditional.pullback(guided)
        return guide(try await first, try await second)
    }

    private func guide(_ unconditional: Latent, _ conditional: Latent) -> Latent {
        var result = unconditional
        for index in result.values.indices {
            result.values[index] += 1.5 * (conditional.values[index] - unconditional.values[index])
        }
        return result
    }
}

extension Latent {
    /// A fingerprint of the values' bits (FNV-1a, 64 bits), in hexadecimal.
    public var fingerprint: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for value in values {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                hash = (hash ^ UInt64((value.bitPattern >> shift) & 0xff)) &* 0x100_0000_01b3
            }
        }
        return String(hash, radix: 16)
    }
}
