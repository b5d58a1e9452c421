import CVectorKernels
import Failures

/// What a safetensors file's header says of one tensor to be written.
public struct TensorDeclaration: Sendable, Equatable {
    public let name: String
    public let elementType: StoredElementType
    public let shape: [Int]

    /// - Precondition: the sizes are not negative, and the bytes of the tensor can be counted.
    public init(name: String, elementType: StoredElementType, shape: [Int]) {
        precondition(shape.allSatisfy { $0 >= 0 }, "a shape has no negative sizes")
        self.name = name
        self.elementType = elementType
        self.shape = shape
    }

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// The bytes the elements take.
    public var byteCount: Int { count * elementType.byteCount }
}

/// Writes safetensors files: whole, or not at all.
public enum SafetensorsWriter {
    /// Writes `tensors` in their order, each in its own element type.
    /// - Throws: `Failure.inputOutput` if writing fails; nothing is left then.
    public static func write(to path: String, _ tensors: [StoredTensor], metadata: [String: String] = [:]) throws {
        let declarations = tensors.map {
            TensorDeclaration(name: $0.name, elementType: $0.elementType, shape: $0.shape)
        }
        try write(to: path, declarations, metadata: metadata) { payload in
            for tensor in tensors { try tensor.withUnsafeBytes { try payload.append($0) } }
        }
    }

    /// Writes a file whose tensors need not be in memory together: the header first, then what `body` appends, the
    /// elements of all tensors in the declared order.
    ///
    /// - Throws: `Failure.inputOutput` if writing fails, or what `body` throws; nothing is left then.
    /// - Precondition: names are unique; `body` appends exactly the elements that are declared.
    public static func write(
        to path: String, _ declarations: [TensorDeclaration], metadata: [String: String] = [:],
        _ body: (inout SafetensorsPayload) throws -> Void
    ) throws {
        precondition(Set(declarations.map(\.name)).count == declarations.count, "tensor names must be unique")
        let header = header(declarations, metadata)
        guard header.count <= SafetensorsFile.maximumHeaderLength else {
            throw Failure.inputOutput("\(path): the names of \(declarations.count) tensors are too much for one header")
        }
        try AtomicFile.write(to: path) { writer in
            try writer.write([UInt64(header.count).littleEndian])
            try writer.write(header)
            var payload = SafetensorsPayload(writer, declarations)
            try body(&payload)
            precondition(payload.isComplete, "every declared tensor must be written")
        }
    }

    /// The header's JSON, padded with spaces to a multiple of 8 so that the tensors lie aligned.
    private static func header(_ declarations: [TensorDeclaration], _ metadata: [String: String]) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let strings = metadata.sorted { $0.key < $1.key }.map { "\(json($0.key)):\(json($0.value))" }
            members.append("\"__metadata__\":{\(strings.joined(separator: ","))}")
        }
        var offset = 0
        for declaration in declarations {
            let end = offset + declaration.byteCount
            let shape = declaration.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(json(declaration.name)):{\"dtype\":\"\(declaration.elementType.rawValue)\","
                    + "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var bytes = Array("{\(members.joined(separator: ","))}".utf8)
        while bytes.count % 8 != 0 { bytes.append(UInt8(ascii: " ")) }
        return bytes
    }

    /// A string as JSON writes it.
    private static func json(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Where the elements of a file under way go, tensor after tensor. A tensor may come in pieces.
public struct SafetensorsPayload {
    private let writer: AtomicFile.Writer
    private let declarations: [TensorDeclaration]
    private var index = 0
    /// Bytes of the tensor at `index` that are written.
    private var written = 0

    init(_ writer: AtomicFile.Writer, _ declarations: [TensorDeclaration]) {
        self.writer = writer
        self.declarations = declarations
        skipFinished()
    }

    /// The tensor that the next element belongs to; nil when all are written.
    public var current: TensorDeclaration? { index < declarations.count ? declarations[index] : nil }

    var isComplete: Bool { index == declarations.count }

    /// Appends bytes of the current tensor, in its own element type.
    /// - Throws: `Failure.inputOutput`.
    /// - Precondition: the tensor has room for them.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        guard !bytes.isEmpty else { return }
        precondition(
            written + bytes.count <= (current?.byteCount ?? 0), "more bytes than \(current?.name ?? "the file") has")
        try writer.write(bytes)
        written += bytes.count
        skipFinished()
    }

    /// Appends elements of the current tensor, which are rounded to its element type.
    /// - Throws: `Failure.inputOutput`.
    /// - Precondition: the tensor has room for them, and is float32, float16 or bfloat16.
    public mutating func append(_ values: UnsafeBufferPointer<Float>) throws {
        guard let source = values.baseAddress, !values.isEmpty else { return }
        switch current?.elementType {
        case .float32: try append(UnsafeRawBufferPointer(values))
        case .float16: try appendHalves(of: source, values.count, pilot_float16_from_float32)
        case .bfloat16: try appendHalves(of: source, values.count, pilot_bfloat16_from_float32)
        default: preconditionFailure("float32 values for a tensor of another kind")
        }
    }

    /// Appends elements of the current tensor, which are rounded to its element type.
    /// - Throws: `Failure.inputOutput`.
    public mutating func append(_ values: [Float]) throws {
        try values.withUnsafeBufferPointer { try append($0) }
    }

    private mutating func appendHalves(
        of source: UnsafePointer<Float>, _ count: Int,
        _ convert: (UnsafePointer<Float>?, UnsafeMutablePointer<UInt16>?, Int) -> Void
    ) throws {
        let halves = [UInt16](unsafeUninitializedCapacity: count) { buffer, initialized in
            convert(source, buffer.baseAddress, count)
            initialized = count
        }
        try halves.withUnsafeBytes { try append($0) }
    }

    private mutating func skipFinished() {
        while let tensor = current, written == tensor.byteCount {
            index += 1
            written = 0
        }
    }
}
