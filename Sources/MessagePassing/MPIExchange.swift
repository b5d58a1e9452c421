import COpenMPI
import Failures

/// A message to be sent, and whom to tell when that is done.
struct SendOrder {
    typealias Completion = @Sendable (Result<Void, any Error>) -> Void

    let frame: [UInt8]
    let payload: (any ByteRegion)?
    let destination: Int
    let tag: MessageTag
    /// The bytes of head and payload.
    let byteCount: Int
    let completion: Completion

    /// - Precondition: head and payload are no longer than a frame can say.
    init(
        head: [UInt8], payload: (any ByteRegion)? = nil, destination: Int, tag: MessageTag,
        completion: @escaping Completion = { _ in }
    ) {
        let payloadBytes = payload?.stableBytes.count
        precondition(payloadBytes ?? 0 <= Frame.maximumPayloadBytes, "a payload must be of 4 GiB at most")
        frame = Frame(tag: tag, headBytes: head.count, payloadBytes: payloadBytes).encoded(head: head)
        byteCount = head.count + (payloadBytes ?? 0)
        self.payload = payload
        self.destination = destination
        self.tag = tag
        self.completion = completion
    }
}

/// The sends and receives that MPI has under way. Lives and dies on the one thread that calls MPI.
///
/// Frames and payloads go apart, under two tags of MPI's. Frames are looked for (their length is not known); the parts
/// of a payload are received into their place as soon as its frame has announced them, and since MPI keeps the order
/// under each tag, they need no header of their own.
final class MPIExchange {
    /// A message under way, until all its bytes are sent.
    private final class Outgoing {
        let order: SendOrder
        var unsent = 0
        private var isToldOf = false

        init(_ order: SendOrder) { self.order = order }

        func tell(_ result: Result<Void, any Error>) {
            guard !isToldOf else { return }
            isToldOf = true
            order.completion(result)
        }
    }

    private struct Send {
        let request: MPI_Request
        let message: Outgoing
    }

    /// What MPI writes to, so its memory must stay where it is.
    private struct FrameReceive {
        let request: MPI_Request
        let source: Int
        let memory: ReceivedBytes
    }

    private struct PartReceive {
        let request: MPI_Request
        let source: Int
        let memory: ReceivedBytes
        let part: Range<Int>
        let identity: MessageAssembler.PayloadIdentity
    }

    /// The most bytes of messages to one rank that are given to MPI at a time: enough to keep a network busy, and few
    /// enough that what is said about the job's end does not come late behind them.
    private static let maximumBytesUnderWay = 16 << 20

    private let communicator: MPI_Comm
    private let call: MPICall
    private var queues: [SendQueue<SendOrder>]
    private var sends: [Send] = []
    private var frames: [FrameReceive] = []
    private var parts: [PartReceive] = []
    private var assemblers: [MessageAssembler]
    /// The ranks that something was sent to since `takeDestinations`.
    private var destinations: Set<Int> = []

    init(communicator: MPI_Comm, size: Int, call: MPICall) {
        self.communicator = communicator
        self.call = call
        queues = (0..<size).map { _ in SendQueue(bound: Self.maximumBytesUnderWay) }
        assemblers = (0..<size).map(MessageAssembler.init(source:))
    }

    var hasSends: Bool { !sends.isEmpty || queues.contains { !$0.isEmpty } }
    /// Whether anything is on its way. MPI moves bytes only when it is called.
    var hasTransfers: Bool { !sends.isEmpty || !frames.isEmpty || !parts.isEmpty }

    /// Sends a message, now or when those before it to the same rank leave it room. What the endpoints say to each
    /// other about the job's end waits for nothing.
    func send(_ order: SendOrder) throws {
        guard order.tag != .control else { return try start(order) }
        queues[order.destination].append(order, bytes: order.byteCount)
        try startQueued(to: order.destination)
    }

    /// Takes what has arrived and finishes what is done; returns whether anything moved.
    func progress(arrived: (Message) throws -> Void) throws -> Bool {
        let sent = try completeSends()
        let matched = try matchFrames()
        let received = try completeFrames(arrived)
        let completed = try completeParts(arrived)
        return sent || matched || received || completed
    }

    /// The ranks that something was sent to since the last call.
    func takeDestinations() -> Set<Int> {
        defer { destinations = [] }
        return destinations
    }

    /// Tells whoever waits for a send that it will not be done. What MPI has been given is kept: it may still read it.
    func fail(with error: any Error) {
        abandonWaiting(with: error)
        for send in sends { send.message.tell(.failure(error)) }
    }

    /// Drops what MPI was not given yet.
    func abandonWaiting(with error: any Error) {
        for index in queues.indices {
            for order in queues[index].takeAll() { order.completion(.failure(error)) }
        }
    }

    private func startQueued(to destination: Int) throws {
        while let order = queues[destination].popNext() { try start(order) }
    }

    private func start(_ order: SendOrder) throws {
        let message = Outgoing(order)
        destinations.insert(order.destination)
        do {
            try start(order.frame.stableBytes, as: PILOT_MPI_FRAME, of: message)
            guard let payload = order.payload else { return }
            let bytes = payload.stableBytes
            for part in Frame.parts(of: bytes.count) {
                try start(UnsafeRawBufferPointer(rebasing: bytes[part]), as: PILOT_MPI_PART, of: message)
            }
        } catch {
            message.tell(.failure(error))
            throw error
        }
    }

    private func start(_ bytes: UnsafeRawBufferPointer, as kind: PilotMPIKind, of message: Outgoing) throws {
        var request: MPI_Request?
        try call.check(
            pilot_mpi_send_start(
                bytes.baseAddress, Int32(bytes.count), Int32(message.order.destination), kind, communicator, &request),
            "sending \(bytes.count) bytes to rank \(message.order.destination)")
        guard let request else { return }
        message.unsent += 1
        sends.append(Send(request: request, message: message))
    }

    private func completeSends() throws -> Bool {
        let before = sends.count
        try sends.removeAll { send in
            let order = send.message.order
            guard try bytesDone(send.request, "sending to rank \(order.destination)") != nil else { return false }
            send.message.unsent -= 1
            if send.message.unsent == 0 {
                if order.tag != .control { queues[order.destination].finish(bytes: order.byteCount) }
                send.message.tell(.success(()))
            }
            return true
        }
        guard sends.count < before else { return false }
        for destination in queues.indices where !queues[destination].isEmpty { try startQueued(to: destination) }
        return true
    }

    private func matchFrames() throws -> Bool {
        var any = false
        while true {
            var found: Int32 = 0
            var source: Int32 = 0
            var count: Int32 = 0
            var message: MPI_Message?
            try call.check(
                pilot_mpi_probe(communicator, &found, &source, &count, &message), "looking for messages")
            guard found != 0 else { return any }
            any = true
            guard assemblers.indices.contains(Int(source)), count >= Frame.headerBytes,
                count <= Frame.headerBytes + Frame.maximumHeadBytes
            else {
                throw Failure.internalFault(
                    "rank \(call.rank) on \(call.hostName): a message of \(count) bytes from rank \(source) "
                        + "is not one of this program's")
            }
            let memory = try ReceivedBytes(count: Int(count))
            var request: MPI_Request?
            try call.check(
                pilot_mpi_receive_frame_start(memory.memory, count, &message, &request),
                "receiving from rank \(source)")
            guard let request else { continue }
            frames.append(FrameReceive(request: request, source: Int(source), memory: memory))
        }
    }

    /// Frames of one rank are taken in the order in which they were matched, though a small one may be complete first.
    private func completeFrames(_ arrived: (Message) throws -> Void) throws -> Bool {
        let before = frames.count
        var blocked: Set<Int> = []
        try frames.removeAll { frame in
            let source = frame.source
            guard !blocked.contains(source), try bytesDone(frame.request, "receiving from rank \(source)") != nil
            else {
                blocked.insert(source)
                return false
            }
            let (ready, expected) = try frame.memory.withUnsafeBytes { try assemblers[source].accept($0) }
            if let expected { try receive(expected, from: source) }
            if let ready { try arrived(ready) }
            return true
        }
        return frames.count < before
    }

    private func receive(_ payload: MessageAssembler.Expectation, from source: Int) throws {
        for part in payload.parts {
            var request: MPI_Request?
            try call.check(
                pilot_mpi_receive_part_start(
                    payload.memory.memory + part.lowerBound, Int32(part.count), Int32(source), communicator, &request),
                "receiving \(part.count) bytes from rank \(source)")
            guard let request else { continue }
            parts.append(
                PartReceive(
                    request: request, source: source, memory: payload.memory, part: part, identity: payload.identity))
        }
    }

    private func completeParts(_ arrived: (Message) throws -> Void) throws -> Bool {
        let before = parts.count
        try parts.removeAll { receive in
            let source = receive.source
            guard let count = try bytesDone(receive.request, "receiving a payload from rank \(source)") else {
                return false
            }
            let ready = try assemblers[source].complete(receive.part, of: receive.identity, bytes: count)
            for message in ready { try arrived(message) }
            return true
        }
        return parts.count < before
    }

    /// The bytes of a transfer that is done; nil for one that is not.
    private func bytesDone(_ request: MPI_Request, _ action: String) throws -> Int? {
        var done: Int32 = 0
        var count: Int32 = 0
        var handle: MPI_Request? = request
        try call.check(pilot_mpi_test(&handle, &done, &count), action)
        return done == 0 ? nil : Int(count)
    }
}
