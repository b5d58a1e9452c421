import DiffusionModels
import Failures
import ShardedRuntime
import Testing

@Suite struct BranchMessageTests {
    private static let latent = Latent(channels: 4, height: 2, width: 3, values: (0..<24).map { Float($0) - 7.5 })
    private static let mask = Latent(channels: 1, height: 2, width: 3, values: [0, 1, 0, 1, 1, 0])
    private static let evaluation = Evaluation(
        branch: .conditional, latent: latent, timestep: 981, masking: [.crossAttention, .selfAttention])
    private static let requests: [BranchRequest] = [
        .prepare(.unconditional, BranchInputs(embedding: [1, 2, 3, 4, 5, 6], tokens: 2, width: 3, mask: mask)),
        .noise(evaluation),
        .noiseKeepingPullback(evaluation, PassIdentity(number: 1 << 50)),
        .pullback(PassIdentity(number: 3), gradient: latent),
        .discard(PassIdentity(number: .max)),
        .report,
        .stop,
    ]

    @Test(arguments: requests)
    func requestsComeBackAsTheyWere(request: BranchRequest) throws {
        let decoded = try BranchRequest.decode(request.encoded(number: 77))
        #expect(decoded.number == 77)
        #expect(decoded.request == request)
    }

    @Test(arguments: [BranchReply.done, .latent(latent), .failure(.badData("unet: broken"))])
    func repliesComeBackAsTheyWere(reply: BranchReply) throws {
        #expect(try BranchReply(decoding: try reply.encoded(), from: 1) == reply)
    }

    @Test(arguments: requests)
    func everyTruncationAndSurplusIsRefused(request: BranchRequest) {
        let bytes = request.encoded(number: 1)
        for count in bytes.indices {
            #expect(throws: Failure.self) { try BranchRequest.decode(Array(bytes.prefix(count))) }
        }
        #expect(throws: Failure.self) { try BranchRequest.decode(bytes + [0]) }
    }

    @Test func absurdShapesAndUnknownCodesAreRefused() {
        let head: [UInt8] = [4] + [UInt8](repeating: 0, count: 16)
        let huge = [UInt8](repeating: 255, count: 12)
        #expect(throws: Failure.self) { try BranchRequest.decode(head + huge) }
        #expect(throws: Failure.self) { try BranchRequest.decode(head + huge + [1, 2, 3, 4]) }
        #expect(throws: Failure.self) { try BranchRequest.decode([0] + [UInt8](repeating: 0, count: 8)) }
        #expect(throws: Failure.self) { try BranchRequest.decode([200] + [UInt8](repeating: 0, count: 8)) }
        #expect(throws: Failure.self) { try BranchReply(decoding: [9], from: 1) }
        #expect(throws: Failure.self) { try BranchReply(decoding: [3, 1, 0, 0, 0, 65], from: 1) }
        // An unknown guidance branch.
        #expect(throws: Failure.self) { try BranchRequest.decode([1] + [UInt8](repeating: 0, count: 8) + [2]) }
    }

    /// Random damage to valid messages: an error or another valid message, never a crash.
    @Test func damagedMessagesDoNotCrash() {
        var generator = SystemRandomNumberGenerator()
        for request in Self.requests {
            let bytes = request.encoded(number: 5)
            for _ in 0..<500 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    damaged[Int.random(in: damaged.indices, using: &generator)] = .random(in: 0...255)
                }
                _ = try? BranchRequest.decode(damaged)
                _ = try? BranchReply(decoding: damaged, from: 1)
            }
        }
    }
}
