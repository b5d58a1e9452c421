import DiffusionModels
import Failures
import Foundation
import MessagePassing
import PilotInpainting
import ShardedRuntime

extension SamplerRun {
    /// The run as an order for a driver: all that decides any bit of its result.
    package func encoded() throws -> [UInt8] {
        var writer = ByteWriter()
        try writer.writeJSON(sampler.parameters)
        try writer.writeJSON(sampler.scheduler.configuration)
        writer.write(sampler.scheduler.file)
        writer.write(sampler.mask)
        writer.write(sampler.imageLatent)
        writer.write(sampler.controls)
        writer.write(sampler.adapters)
        for inputs in branches { writer.write(inputs) }
        writer.write(UInt32(clamping: image))
        writer.write(UInt8(initialLatent == nil ? 0 : 1))
        if let initialLatent { writer.write(initialLatent) }
        writer.write(wants.rawValue)
        return writer.bytes
    }

    /// - Throws: an internal fault for bytes that are no order; what `DDIMScheduler` and `PilotSampler` say of values that
    ///   make no sense.
    package init(decoding bytes: [UInt8]) throws {
        var reader = ByteReader(bytes, subject: "an order for a sampler")
        let parameters = try reader.readJSON(PilotParameters.self)
        let configuration = try reader.readJSON(SchedulerConfiguration.self)
        let scheduler = try DDIMScheduler(configuration, file: try reader.readText())
        let mask = try reader.readMask()
        let imageLatent = try reader.readLatent()
        guard imageLatent.channels > 0, imageLatent.height == mask.height, imageLatent.width == mask.width else {
            throw Failure.internalFault(
                "an order for a sampler has an image of shape \(imageLatent.shape) and a mask of "
                    + "\(mask.height) x \(mask.width)")
        }
        let sampler = try PilotSampler(
            parameters: parameters, scheduler: scheduler, mask: mask, imageLatent: imageLatent,
            controls: try reader.readActingTimes(), adapters: try reader.readActingTimes())
        let branches = try GuidanceBranch.allCases.map { _ in try reader.readInputs() }
        let image = Int(try reader.read(UInt32.self))
        let initialLatent = try reader.readFlag() ? try reader.readLatent() : nil
        let wants = Wants(rawValue: try reader.read(UInt8.self))
        try reader.finish()
        self.init(sampler: sampler, branches: branches, image: image, initialLatent: initialLatent, wants: wants)
    }
}

extension ByteWriter {
    fileprivate mutating func writeJSON(_ value: some Encodable) throws {
        do {
            writeCounted([UInt8](try JSONEncoder().encode(value)))
        } catch {
            throw Failure.internalFault("settings can't be sent to another rank: \(error)")
        }
    }

    fileprivate mutating func write(_ mask: LatentMask) {
        write(UInt32(clamping: mask.height))
        write(UInt32(clamping: mask.width))
        writeCounted(mask.values.map { $0 == 0 ? 0 : 1 })
    }

    fileprivate mutating func write(_ times: [ActingTime]) {
        write(UInt8(clamping: times.count))
        for time in times {
            write(time.start.bitPattern)
            write(time.end.bitPattern)
            write(UInt8(time.isConditionalOnly ? 1 : 0))
        }
    }
}

extension ByteReader {
    fileprivate mutating func readJSON<Value: Decodable>(_: Value.Type) throws -> Value {
        let bytes = try readCounted()
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch {
            throw Failure.internalFault("an order holds what is no \(Value.self): \(error)")
        }
    }

    fileprivate mutating func readMask() throws -> LatentMask {
        let (height, width) = (Int(try read(UInt32.self)), Int(try read(UInt32.self)))
        let cells = try readCounted()
        guard height > 0, width > 0, height.multipliedReportingOverflow(by: width) == (cells.count, false),
            cells.allSatisfy({ $0 < 2 })
        else {
            throw Failure.internalFault(
                "an order's mask of \(height) x \(width) cells has \(cells.count), each of which must be 0 or 1")
        }
        return LatentMask(height: height, width: width, isRepainted: cells.map { $0 == 1 })
    }

    fileprivate mutating func readActingTimes() throws -> [ActingTime] {
        let count = Int(try read(UInt8.self))
        guard count <= ActingSet.most else {
            throw Failure.internalFault("an order has \(count) networks of a kind; \(ActingSet.most) are the most")
        }
        return try (0..<count).map { _ in
            ActingTime(start: try readDouble(), end: try readDouble(), isConditionalOnly: try readFlag())
        }
    }
}
