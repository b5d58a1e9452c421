import DiffusionModels
import Failures
import MessagePassing

/// What rank 0 asks of a rank that serves a branch.
package enum BranchRequest: Equatable, Sendable {
    case prepare(GuidanceBranch, BranchInputs)
    case noise(Evaluation)
    case noiseKeepingPullback(Evaluation, PassIdentity)
    case pullback(PassIdentity, gradient: Latent)
    /// Frees a pullback that will not be called. Has no answer.
    case discard(PassIdentity)
    case report
    /// Ends the service. Has no answer.
    case stop
}

extension BranchRequest {
    /// Requests go in one stream, so that they are served in the order in which they were made.
    static let tag = MessageTag(channel: MessageTag.firstFreeChannel)

    /// The tag of the answer to request `number`.
    static func replyTag(_ number: UInt64) -> MessageTag {
        MessageTag(channel: MessageTag.firstFreeChannel + 1, number: number)
    }

    private enum Code: UInt8 {
        case prepare = 1
        case noise, noiseKeepingPullback, pullback, discard, report, stop
    }

    package func encoded(number: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        func begin(_ code: Code) {
            writer.write(code.rawValue)
            writer.write(number)
        }
        switch self {
        case .prepare(let branch, let inputs):
            begin(.prepare)
            writer.write(UInt8(branch.rawValue))
            writer.write(inputs)
        case .noise(let evaluation):
            begin(.noise)
            writer.write(evaluation)
        case .noiseKeepingPullback(let evaluation, let pass):
            begin(.noiseKeepingPullback)
            writer.write(evaluation)
            writer.write(pass.number)
        case .pullback(let pass, let gradient):
            begin(.pullback)
            writer.write(pass.number)
            writer.write(gradient)
        case .discard(let pass):
            begin(.discard)
            writer.write(pass.number)
        case .report: begin(.report)
        case .stop: begin(.stop)
        }
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws -> (number: UInt64, request: BranchRequest) {
        var reader = ByteReader(bytes, subject: "a request from rank 0")
        let rawCode = try reader.read(UInt8.self)
        let number = try reader.read(UInt64.self)
        let request: BranchRequest
        switch Code(rawValue: rawCode) {
        case .prepare: request = .prepare(try reader.readBranch(), try reader.readInputs())
        case .noise: request = .noise(try reader.readEvaluation())
        case .noiseKeepingPullback:
            request = .noiseKeepingPullback(try reader.readEvaluation(), try reader.readPass())
        case .pullback: request = .pullback(try reader.readPass(), gradient: try reader.readLatent())
        case .discard: request = .discard(try reader.readPass())
        case .report: request = .report
        case .stop: request = .stop
        case nil: throw Failure.internalFault("rank 0 made a request of the unknown kind \(rawCode)")
        }
        try reader.finish()
        return (number, request)
    }
}

/// The answer to a request.
package enum BranchReply: Equatable, Sendable {
    case done
    case latent(Latent)
    case report(RankReport)
    case failure(Failure)

    package func encoded() throws -> [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .done: writer.write(UInt8(1))
        case .latent(let latent):
            writer.write(UInt8(2))
            writer.write(latent)
        case .report(let report):
            writer.write(UInt8(3))
            writer.write(try report.encodedText())
        case .failure(let failure):
            writer.write(UInt8(4))
            writer.write(failure)
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8], from source: Int) throws {
        var reader = ByteReader(bytes, subject: "an answer from rank \(source)")
        let code = try reader.read(UInt8.self)
        switch code {
        case 1: self = .done
        case 2: self = .latent(try reader.readLatent())
        case 3: self = .report(try RankReport(encodedText: try reader.readText(), from: source))
        case 4: self = .failure(try reader.readFailure())
        default: throw Failure.internalFault("rank \(source) gave an answer of the unknown kind \(code)")
        }
        try reader.finish()
    }
}
