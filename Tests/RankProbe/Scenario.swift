import Failures
import Foundation
import MessagePassing
import TestSupport

enum Scenario: String {
    /// Messages of many sizes, there and back, then the collectives.
    case exchange
    /// Every rank to every other rank at once, thousands of messages of random sizes.
    case interleave
    /// Payloads of megabytes both ways between all ranks but 0, as a pipeline sends them.
    case swap
    /// The rank named by the argument throws, the others wait for a message that never comes.
    case fail
    /// As `fail`, but the others compute and do not look at messages.
    case failWhileBusy
    /// All ranks throw at once.
    case failTogether
    /// The rank named by the argument kills itself.
    case die
    /// As `die`, before it has begun with MPI.
    case dieEarly
    /// In the midst of the ranks' traffic, rank, launcher or both die; see `Loss`.
    case lose
    /// Every rank says that it is another version of the program.
    case mixedVersions
    /// Rank 0 writes the file named by the argument and waits for the signal that ends it.
    case wait
    /// Rank 0 ends while a long message to it is under way.
    case leaveDuringSend
    /// Tasks of every rank go on posting while rank 0 ends the job: by a failure, or in order when the argument says so.
    case postDuringDeparture
    /// The toy job on one rank or two.
    case infer
    /// Jobs on three stages, of which one stops, hangs or is slow.
    case stall
    /// The rank named by the argument reads a file that becomes shorter meanwhile.
    case readShrunken
    /// The rank named by the argument asks for more memory than there is.
    case exhaust

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
        case .dieEarly, .mixedVersions:
            throw Failure.internalFault("the work began")
        case .lose:
            guard arguments.count == 3, let loss = Loss(rawValue: arguments[1]) else {
                throw Failure.usage("the rank, the loss and a folder for the ranks' process numbers are missing")
            }
            try await suffer(loss, by: chosen, folder: arguments[2], communicator)
        case .wait:
            try await wait(communicator, file: arguments.first ?? "", cleanUps)
        case .infer:
            try await infer(communicator, arguments)
        case .readShrunken:
            guard let path = arguments.dropFirst().first else { throw Failure.usage("the file is missing") }
            try await readShrunken(path, on: chosen, communicator)
        case .exhaust:
            try await exhaust(on: chosen, communicator)
        case .stall:
            try await stall(communicator, arguments)
        case .leaveDuringSend:
            if communicator.rank == 0 { throw Failure.inputOutput("out.png: no space left on device") }
            let payload = [UInt8](repeating: 7, count: 200 << 20)
            try await communicator.send(head: [], payload: payload, to: 0, tag: Self.channel)
        case .postDuringDeparture:
            try await postDuringDeparture(communicator, inOrder: arguments.first == "inOrder")
        case .interleave:
            let count = try await InterleavedTraffic(
                seed: UInt64(chosen), messagesPerPair: 1500, largestPayload: 6 << 20
            ).run(on: communicator)
            if let counts = try await communicator.gather(count) { say("all is well: \(counts)") }
        case .swap:
            try await swap(communicator)
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
        // Around the limits of eager sending and of one part of a payload.
        let sizes = [0, 1, 31, 4096, 65_536, 5 << 20, (64 << 20) + 1]
        for (index, size) in sizes.enumerated() {
            let tag = MessageTag(channel: 20, number: UInt64(index))
            guard communicator.rank == 0 else {
                let message = try await communicator.receiveMessage(from: 0, tag: tag)
                try await communicator.send(head: message.head, payload: message.payload, to: 0, tag: tag)
                continue
            }
            let payload = pattern(of: UInt64(index), count: size)
            let head = Array(payload.prefix(1 << 20))
            for other in 1..<communicator.size {
                try await communicator.send(head: head, payload: payload, to: other, tag: tag)
                let answer = try await communicator.receiveMessage(from: other, tag: tag)
                let isSame = answer.head == head && answer.payload?.withUnsafeBytes { Array($0) } == payload
                guard isSame else { throw Failure.internalFault("\(size) bytes came back changed") }
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

    private func swap(_ communicator: any Communicator) async throws {
        let start = communicator.traffic
        let others = (1..<communicator.size).filter { $0 != communicator.rank }
        if communicator.rank > 0 {
            for round in 0..<20 {
                let tag = MessageTag(channel: 21, number: UInt64(round))
                for other in others {
                    let payload = pattern(of: UInt64(communicator.rank * 100 + round), count: 5 << 20)
                    communicator.post(head: [UInt8(round)], payload: payload, to: other, tag: tag)
                }
                for other in others {
                    let message = try await communicator.receiveMessage(from: other, tag: tag)
                    let expected = pattern(of: UInt64(other * 100 + round), count: 5 << 20)
                    guard message.head == [UInt8(round)], message.payload?.withUnsafeBytes({ Array($0) }) == expected
                    else { throw Failure.internalFault("round \(round) of rank \(other) came changed") }
                }
            }
        }
        let end = communicator.traffic
        let expected = communicator.rank > 0 ? 20 * others.count : 0
        let bytes = expected * (5 << 20 + 1)
        guard end.sentBytes == start.sentBytes + bytes, end.receivedBytes == start.receivedBytes + bytes else {
            throw Failure.internalFault("the traffic counted is \(end)")
        }
        if let ranks = try await communicator.gather(communicator.rank) { say("swapped \(ranks)") }
    }

    private func postDuringDeparture(_ communicator: any Communicator, inOrder: Bool) async throws {
        let payload = pattern(of: 1, count: 200_000)
        for other in 0..<communicator.size where other != communicator.rank {
            Task.detached {
                while true {
                    communicator.post(head: [1], payload: payload, to: other, tag: Self.channel)
                    try? await Task.sleep(for: .milliseconds(2))
                }
            }
        }
        try await Task.sleep(for: .milliseconds(200))
        if communicator.rank == 0, !inOrder { throw Failure.inputOutput("out.png: no space left on device") }
    }
}
