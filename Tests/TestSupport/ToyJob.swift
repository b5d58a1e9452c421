import DiffusionModels
import ShardedRuntime

/// A job that uses a predictor as the method does: both branches at once, some steps with gradients, some without,
/// some pullbacks dropped.
public struct ToyJob: Sendable {
    public let height: Int
    public let width: Int
    public let steps: Int

    public init(height: Int, width: Int, steps: Int) {
        self.height = height
        self.width = width
        self.steps = steps
    }

    public func run(on predictor: DistributedPredictor) async throws -> Latent {
        var latent = Latent(channels: 4, height: height, width: width)
        for index in latent.values.indices { latent.values[index] = Float(index % 97) / 50 - 1 }
        let mask = Latent(
            channels: 1, height: height, width: width,
            values: (0..<height * width).map { $0 % 3 == 0 ? 1 : 0 })
        for branch in GuidanceBranch.allCases {
            let embedding = (0..<77 * 8).map { Float($0 % 13 + branch.rawValue) / 10 }
            try await predictor.prepare(
                branch, BranchInputs(embedding: embedding, tokens: 77, width: 8, mask: mask))
        }
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

    private func noise(_ predictor: DistributedPredictor, _ latent: Latent, _ timestep: Int) async throws -> Latent {
        async let unconditional = predictor.noise(
            Evaluation(branch: .unconditional, latent: latent, timestep: timestep, masking: .crossAttention))
        async let conditional = predictor.noise(
            Evaluation(
                branch: .conditional, latent: latent, timestep: timestep, masking: [.crossAttention, .selfAttention]))
        return guide(try await unconditional, try await conditional)
    }

    private func gradient(
        _ predictor: DistributedPredictor, _ latent: Latent, _ timestep: Int, dropping: Bool
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
