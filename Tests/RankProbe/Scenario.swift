import Failures
import Foundation
import MessagePassing

enum Scenario: String {
    /// Messages of many sizes, there and back, then the collectives.
    case exchange
    /// The rank named by the argument throws, the others wait for a message that never comes.
    case fail
    /// As `fail`, but the others compute and do not look at messages.
    case failWhileBusy
    /// All ranks throw at once.
    case failTogether
    /// The rank named by the argument kills itself.
    case die
    /// Rank 0 writes the file named by the argument and waits for the signal that ends it.
    case wait
    /// Rank 0 ends while a long message to it is under way.
    case leaveDuringSend
    /// The toy job on one rank or two.
    case infer

    static let channel = MessageTag(channel: MessageTag.firstFreeChannel)

    func run(_ communicator: any Communicator, _ arguments: [String], _ cleanUps: CleanUps) async throws {
        let chosen = arguments.first.flatMap { Int($0) } ?? 0
        switch self {
        case .exchange:
            try await exchange(communicator)
        case .fail:
            if communicator.rank == chosen { throw Failure.badData("model.safetensors: broken") }
            _ = try await communicator.receive(from: communicator.rank == 0 ? 1 : 0, tag: Self.channel)
        case .failWhileBusy:
            if communicator.rank == chosen { throw Failure.badData("model.safetensors: broken") }
            try await DedicatedThread(name: "compute").run { _ = sleep(60) }
        case .failTogether:
            throw Failure.missingInput("model: no such folder")
        case .die:
            if communicator.rank == chosen { kill(getpid(), SIGKILL) }
            _ = try await communicator.receive(from: communicator.rank == 0 ? 1 : 0, tag: Self.channel)
        case .wait:
            try await wait(communicator, file: arguments.first ?? "", cleanUps)
        case .infer:
            try await infer(communicator, arguments)
        case .leaveDuringSend:
            if communicator.rank == 0 { throw Failure.inputOutput("out.png: no space left on device") }
            try await communicator.send([UInt8](repeating: 7, count: 200 << 20), to: 0, tag: Self.channel)
        }
    }

    private func wait(_ communicator: any Communicator, file: String, _ cleanUps: CleanUps) async throws {
        if communicator.rank == 0 {
            guard FileManager.default.createFile(atPath: file, contents: Data("half".utf8)) else {
                throw Failure.inputOutput("\(file): can't be written")
            }
            _ = cleanUps.register { unlink(file) }
            say("waiting")
        }
        try await Task.sleep(for: .seconds(60))
    }

    private func exchange(_ communicator: any Communicator) async throws {
        // Around the limits of eager sending and of one frame.
        let sizes = [0, 1, 31, 4096, 65_536, 5 << 20, (64 << 20) + 1]
        for (index, size) in sizes.enumerated() {
            let tag = MessageTag(channel: 20, number: UInt64(index))
            if communicator.rank == 0 {
                let message = [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
                    for position in 0..<size { bytes[position] = UInt8(truncatingIfNeeded: position &* 31 &+ index) }
                    count = size
                }
                for other in 1..<communicator.size {
                    try await communicator.send(message, to: other, tag: tag)
                    let answer = try await communicator.receive(from: other, tag: tag)
                    guard answer == message else { throw Failure.internalFault("\(size) bytes came back changed") }
                }
            } else {
                try await communicator.send(try await communicator.receive(from: 0, tag: tag), to: 0, tag: tag)
            }
        }
        try await communicator.barrier()
        let text = try await communicator.broadcast(communicator.rank == 0 ? Array("hello".utf8) : [])
        let numbers: [Float] = [1, -0.0, .infinity, .leastNonzeroMagnitude]
        if communicator.rank == 1 { try await communicator.send(numbers, to: 0, tag: Self.channel) }
        if communicator.rank == 0, communicator.size > 1 {
            let back = try await communicator.receiveFloats(count: 4, from: 1, tag: Self.channel)
            guard back.map(\.bitPattern) == numbers.map(\.bitPattern) else { throw Failure.internalFault("\(back)") }
        }
        let ranks = try await communicator.gather("\(communicator.rank)\(String(decoding: text, as: UTF8.self))")
        if let ranks { say("gathered \(ranks.joined(separator: " "))") }
    }
}
