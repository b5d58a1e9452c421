import DiffusionModels
import Failures
import MessagePassing
import TensorKernels

extension Tensor: ByteRegion {}

extension StageMessage {
    private enum Code: UInt8 {
        case open = 1
        case leg, discard, discardReturned, close, picture, askReport, stop
        case result, pictureDone, passFailed, jobFailed, pictureFailed, report
        case askState, askTrace, state, trace
        case pictureBit
        case present, order, cancelOrder, news, orderDone, orderFailed, notice, verdict
    }

    /// The message as it travels: what is small in the head, the numbers of hidden states as they lie in memory.
    func encoded() -> (head: [UInt8], payload: (any ByteRegion)?) {
        var writer = ByteWriter()
        var payload: (any ByteRegion)?
        func begin(_ code: Code) { writer.write(code.rawValue) }
        switch self {
        case .open(let job, let branch, let inputs):
            begin(.open)
            writer.write(job.number)
            writer.write(UInt8(branch.rawValue))
            writer.write(inputs)
        case .leg(let pass, let leg, let settings, let value):
            begin(.leg)
            writer.write(pass)
            writer.write(leg.rawValue)
            writer.write(settings)
            payload = writer.write(value)
        case .discard(let pass):
            begin(.discard)
            writer.write(pass)
        case .discardReturned(let pass):
            begin(.discardReturned)
            writer.write(pass)
        case .close(let job):
            begin(.close)
            writer.write(job.number)
        case .picture(let request, let value):
            begin(.picture)
            writer.write(request)
            writer.write(value)
        case .pictureBit(let request):
            begin(.pictureBit)
            writer.write(request)
        case .askReport: begin(.askReport)
        case .askState: begin(.askState)
        case .askTrace: begin(.askTrace)
        case .stop: begin(.stop)
        case .result(let pass, let isGradient, let latent):
            begin(.result)
            writer.write(pass)
            writer.write(UInt8(isGradient ? 1 : 0))
            writer.write(latent)
        case .pictureDone(let request, let value):
            begin(.pictureDone)
            writer.write(request)
            writer.write(value)
        case .passFailed(let pass, let failure):
            begin(.passFailed)
            writer.write(pass)
            writer.write(failure)
        case .jobFailed(let job, let failure):
            begin(.jobFailed)
            writer.write(job.number)
            writer.write(failure)
        case .pictureFailed(let request, let failure):
            begin(.pictureFailed)
            writer.write(request)
            writer.write(failure)
        case .report(let text):
            begin(.report)
            writer.write(text)
        case .state(let state):
            begin(.state)
            writer.write(state)
        case .trace(let trace):
            begin(.trace)
            writer.write(trace)
        case .present(let hostName):
            begin(.present)
            writer.write(hostName)
        case .order(let job, let bytes):
            // With all that the networks see beside the prompt it may be larger than a head can be.
            begin(.order)
            writer.write(job.number)
            payload = bytes
        case .cancelOrder(let job):
            begin(.cancelOrder)
            writer.write(job.number)
        case .news(let job, let bytes):
            begin(.news)
            writer.write(job.number)
            writer.writeCounted(bytes)
        case .orderDone(let job, let bytes):
            begin(.orderDone)
            writer.write(job.number)
            writer.writeCounted(bytes)
        case .orderFailed(let job, let failure):
            begin(.orderFailed)
            writer.write(job.number)
            writer.write(failure)
        case .notice(let notice):
            begin(.notice)
            writer.write(notice)
        case .verdict(let failure):
            begin(.verdict)
            writer.write(failure)
        }
        return (writer.bytes, payload)
    }

    /// - Throws: an internal fault for bytes that are no message, naming the rank they came from.
    init(decoding head: [UInt8], payload: ReceivedBytes?, from source: Int) throws {
        var reader = ByteReader(head, subject: "a message from rank \(source)")
        let code = try reader.read(UInt8.self)
        var usesPayload = false
        switch Code(rawValue: code) {
        case .open:
            self = .open(try reader.readJob(), try reader.readBranch(), try reader.readInputs())
        case .leg:
            let pass = try reader.readPass()
            let leg = try reader.readLeg()
            let settings = try reader.readSettings()
            usesPayload = payload != nil
            self = .leg(pass, leg, settings, try reader.readValue(payload, from: source))
        case .discard: self = .discard(try reader.readPass())
        case .discardReturned: self = .discardReturned(try reader.readPass())
        case .close: self = .close(try reader.readJob())
        case .picture: self = .picture(try reader.readRequest(), try reader.readPictureValue())
        case .pictureBit: self = .pictureBit(try reader.readRequest())
        case .askReport: self = .askReport
        case .askState: self = .askState
        case .askTrace: self = .askTrace
        case .state: self = .state(try reader.readState())
        case .trace: self = .trace(try reader.readTrace())
        case .stop: self = .stop
        case .result:
            let pass = try reader.readPass()
            let isGradient = try reader.readFlag()
            self = .result(pass, isGradient: isGradient, try reader.readLatent())
        case .pictureDone: self = .pictureDone(try reader.readRequest(), try reader.readPictureValue())
        case .passFailed: self = .passFailed(try reader.readPass(), try reader.readFailure())
        case .jobFailed: self = .jobFailed(try reader.readJob(), try reader.readFailure())
        case .pictureFailed: self = .pictureFailed(try reader.readRequest(), try reader.readFailure())
        case .report: self = .report(try reader.readText())
        case .present: self = .present(try reader.readText())
        case .order:
            usesPayload = payload != nil
            self = .order(try reader.readJob(), payload.map { $0.withUnsafeBytes { Array($0) } } ?? [])
        case .cancelOrder: self = .cancelOrder(try reader.readJob())
        case .news: self = .news(try reader.readJob(), try reader.readCounted())
        case .orderDone: self = .orderDone(try reader.readJob(), try reader.readCounted())
        case .orderFailed: self = .orderFailed(try reader.readJob(), try reader.readFailure())
        case .notice: self = .notice(try reader.readNotice())
        case .verdict: self = .verdict(try reader.readFailure())
        case nil: throw Failure.internalFault("rank \(source) sent a message of the unknown kind \(code)")
        }
        try reader.finish()
        guard usesPayload || payload == nil else {
            throw Failure.internalFault("a message from rank \(source) brings numbers that it does not speak of")
        }
    }
}

extension ByteWriter {
    mutating func write(_ pass: PassIdentity) {
        write(pass.job.number)
        write(UInt8(pass.branch.rawValue))
        write(pass.number)
    }

    mutating func write(_ settings: PassSettings) {
        write(Int64(settings.timestep))
        write(settings.masking.rawValue)
        write(settings.controls.rawValue)
        write(settings.adapters.rawValue)
        write(UInt8(settings.isRecorded ? 1 : 0))
    }

    mutating func write(_ request: PictureRequest) {
        write(request.job.number)
        write(request.work.rawValue)
        write(request.number)
    }

    /// What is not written is returned, to travel as it lies in memory.
    mutating func write(_ value: StageValue) -> (any ByteRegion)? {
        switch value {
        case .latent(let latent):
            write(UInt8(0))
            write(latent)
            return nil
        case .hidden(let tensor):
            write(UInt8(tensor.elementType == .float32 ? 1 : 2))
            write(UInt8(clamping: tensor.shape.count))
            for side in tensor.shape { write(UInt32(clamping: side)) }
            return tensor
        }
    }

    mutating func write(_ value: PictureValue) {
        switch value {
        case .tokens(let tokens):
            write(UInt8(1))
            write(UInt32(clamping: tokens.ids.count))
            for id in tokens.ids { write(id) }
            write(UInt32(clamping: tokens.vectors.count))
            write(tokens.vectors)
        case .planes(let planes):
            write(UInt8(2))
            write(planes)
        case .shown(let picture, let adapter):
            write(UInt8(3))
            write(UInt32(clamping: adapter))
            write(picture)
        case .made(let results):
            write(UInt8(4))
            write(UInt8(clamping: results.count))
            for result in results { write(result) }
        }
    }
}

extension ByteReader {
    mutating func readJob() throws -> JobIdentity { JobIdentity(number: try read(UInt32.self)) }

    mutating func readPass() throws -> PassIdentity {
        PassIdentity(job: try readJob(), branch: try readBranch(), number: try read(UInt32.self))
    }

    package mutating func readFlag() throws -> Bool {
        let flag = try read(UInt8.self)
        guard flag < 2 else { throw Failure.internalFault("a message says \(flag) where it must say 0 or 1") }
        return flag == 1
    }

    mutating func readLeg() throws -> Leg {
        let number = try read(UInt8.self)
        guard let leg = Leg(rawValue: number) else {
            throw Failure.internalFault("a message names the unknown leg \(number)")
        }
        return leg
    }

    mutating func readSettings() throws -> PassSettings {
        let timestep = Int(try read(Int64.self))
        let masking = AttentionMasking(rawValue: try read(UInt8.self))
        let controls = ActingSet(rawValue: try read(UInt64.self))
        let adapters = ActingSet(rawValue: try read(UInt64.self))
        return PassSettings(
            timestep: timestep, masking: masking, controls: controls, adapters: adapters, isRecorded: try readFlag())
    }

    mutating func readRequest() throws -> PictureRequest {
        let job = try readJob()
        let number = try read(UInt8.self)
        guard let work = PictureWork(rawValue: number) else {
            throw Failure.internalFault("a message names the unknown work \(number)")
        }
        return PictureRequest(job: job, work: work, number: try read(UInt32.self))
    }

    mutating func readValue(_ payload: ReceivedBytes?, from source: Int) throws -> StageValue {
        let kind = try read(UInt8.self)
        guard kind != 0 else {
            guard payload == nil else {
                throw Failure.internalFault("a latent from rank \(source) comes with more than its numbers")
            }
            return .latent(try readLatent())
        }
        let shape = try (0..<Int(try read(UInt8.self))).map { _ in Int(try read(UInt32.self)) }
        guard kind <= 2, let payload else {
            throw Failure.internalFault("a hidden state from rank \(source) is of the unknown kind \(kind), or empty")
        }
        let type: ElementType = kind == 1 ? .float32 : .bfloat16
        let tensor = payload.withUnsafeBytes { Tensor(sharing: $0, shape: shape, as: type, keeping: payload) }
        guard let tensor else {
            throw Failure.internalFault(
                "a hidden state from rank \(source) claims the shape \(shape), which its \(payload.count) bytes don't "
                    + "fill")
        }
        return .hidden(tensor)
    }

    mutating func readPictureValue() throws -> PictureValue {
        let kind = try read(UInt8.self)
        switch kind {
        case 1:
            let count = Int(try read(UInt32.self))
            guard count <= remaining / MemoryLayout<Int32>.size else {
                throw Failure.internalFault("a message claims \(count) tokens, \(remaining) bytes are left")
            }
            let ids = try (0..<count).map { _ in try read(Int32.self) }
            return .tokens(TokenChunk(ids: ids, vectors: try readFloats(count: Int(try read(UInt32.self)))))
        case 2: return .planes(try readLatent())
        case 3:
            let adapter = Int(try read(UInt32.self))
            return .shown(try readLatent(), to: adapter)
        case 4: return .made(try (0..<Int(try read(UInt8.self))).map { _ in try readLatent() })
        default: throw Failure.internalFault("a message holds a picture of the unknown kind \(kind)")
        }
    }
}
