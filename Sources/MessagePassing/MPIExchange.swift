import COpenMPI
import Failures

/// The sends and receives that MPI has under way. Lives and dies on the one thread that calls MPI.
final class MPIExchange {
    /// A message that came in whole.
    typealias Arrival = (source: Int, tag: MessageTag, bytes: [UInt8])
    typealias SendCompletion = @Sendable (Result<Void, any Error>) -> Void

    /// Bytes that MPI reads or writes in the background, so they must stay where they are.
    private struct Transfer {
        let buffer: UnsafeMutableRawBufferPointer
        var request: MPI_Request
        let peer: Int
        /// Called when a message's last frame is sent.
        var completion: SendCompletion?
    }

    private let communicator: MPI_Comm
    private let call: MPICall
    private var sends: [Transfer] = []
    private var receives: [Transfer] = []
    private var assemblers: [MessageAssembler]

    init(communicator: MPI_Comm, size: Int, call: MPICall) {
        self.communicator = communicator
        self.call = call
        assemblers = (0..<size).map(MessageAssembler.init(source:))
    }

    var hasSends: Bool { !sends.isEmpty }
    var hasTransfers: Bool { !sends.isEmpty || !receives.isEmpty }

    func startSending(
        _ bytes: [UInt8], to destination: Int, tag: MessageTag, completion: @escaping SendCompletion
    ) throws {
        let frames = Frame.split(bytes, tag: tag)
        for (index, frame) in frames.enumerated() {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: frame.count, alignment: 16)
            buffer.copyBytes(from: frame)
            var request: MPI_Request?
            let code = pilot_mpi_send_start(
                buffer.baseAddress, Int32(frame.count), Int32(destination), communicator, &request)
            do {
                try call.check(code, "sending \(frame.count) bytes to rank \(destination)")
            } catch {
                completion(.failure(error))
                throw error
            }
            guard let request else { continue }
            sends.append(
                Transfer(
                    buffer: buffer, request: request, peer: destination,
                    completion: index == frames.count - 1 ? completion : nil))
        }
    }

    /// Takes what has arrived and finishes what is done; returns whether anything moved.
    func progress(arrived: (Arrival) throws -> Void) throws -> Bool {
        let sent = try completeSends()
        let started = try startReceives()
        let received = try completeReceives(arrived)
        return sent || started || received
    }

    /// Tells whoever waits for a send that it will not be done.
    func fail(with error: any Error) {
        for send in sends { send.completion?(.failure(error)) }
        sends = []
    }

    private func completeSends() throws -> Bool {
        let before = sends.count
        var open: [Transfer] = []
        for var transfer in sends {
            if try isDone(&transfer, "sending to rank \(transfer.peer)") {
                transfer.buffer.deallocate()
                transfer.completion?(.success(()))
            } else {
                open.append(transfer)
            }
        }
        sends = open
        return open.count < before
    }

    private func startReceives() throws -> Bool {
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
                count <= Frame.headerBytes + Frame.maximumPartBytes
            else {
                throw Failure.internalFault(
                    "rank \(call.rank) on \(call.hostName): a message of \(count) bytes from rank \(source) "
                        + "is not one of this program's")
            }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(count), alignment: 16)
            var request: MPI_Request?
            try call.check(
                pilot_mpi_receive_start(buffer.baseAddress, count, &message, &request), "receiving from rank \(source)")
            guard let request else { continue }
            receives.append(Transfer(buffer: buffer, request: request, peer: Int(source)))
        }
    }

    /// Frames of one rank are taken in the order in which they were matched, though a small one may be complete first.
    private func completeReceives(_ arrived: (Arrival) throws -> Void) throws -> Bool {
        var blocked: Set<Int> = []
        var open: [Transfer] = []
        var any = false
        for var transfer in receives {
            guard !blocked.contains(transfer.peer), try isDone(&transfer, "receiving from rank \(transfer.peer)") else {
                blocked.insert(transfer.peer)
                open.append(transfer)
                continue
            }
            any = true
            defer { transfer.buffer.deallocate() }
            if let message = try assemblers[transfer.peer].accept(UnsafeRawBufferPointer(transfer.buffer)) {
                try arrived((transfer.peer, message.tag, message.bytes))
            }
        }
        receives = open
        return any
    }

    private func isDone(_ transfer: inout Transfer, _ action: String) throws -> Bool {
        var done: Int32 = 0
        var request: MPI_Request? = transfer.request
        try call.check(pilot_mpi_test(&request, &done), action)
        return done != 0
    }
}
