/// The EXIF orientation: how a camera was held, as a number from 1 (upright) to 8.
///
/// A hand parser, since one tag is all the engine wants. Whatever is missing, damaged or points out of the file gives 1.
enum ExifOrientation {
    /// From the APP1 segment of a JPEG file.
    static func ofJPEG(_ file: UnsafeRawBufferPointer) -> Int {
        var position = 2
        while let segment = Segment(file, at: position) {
            let signature = Array("Exif\0\0".utf8)
            if segment.marker == 0xE1 && segment.payload.starts(with: signature) {
                return ofTIFF(UnsafeRawBufferPointer(rebasing: segment.payload.dropFirst(signature.count)))
            }
            position = segment.end
        }
        return 1
    }

    /// From a TIFF structure: the contents of a PNG's eXIf chunk, or of an APP1 segment after its signature.
    static func ofTIFF(_ bytes: UnsafeRawBufferPointer) -> Int {
        let isLittleEndian: Bool
        switch (bytes.first, bytes.dropFirst().first) {
        case (0x49, 0x49): isLittleEndian = true
        case (0x4D, 0x4D): isLittleEndian = false
        default: return 1
        }
        func number(_ count: Int, at offset: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - count else { return nil }
            let field = bytes[offset..<(offset + count)]
            let ordered = isLittleEndian ? Array(field.reversed()) : Array(field)
            return ordered.reduce(0) { $0 << 8 | Int($1) }
        }

        guard number(2, at: 2) == 42, let directory = number(4, at: 4), let entries = number(2, at: directory) else {
            return 1
        }
        for entry in 0..<entries {
            let offset = directory + 2 + 12 * entry
            guard let tag = number(2, at: offset) else { return 1 }
            guard tag == 0x0112 else { continue }
            // The types a short number comes in: BYTE, SHORT, LONG.
            guard let type = number(2, at: offset + 2), let size = [1: 1, 3: 2, 4: 4][type],
                number(4, at: offset + 4) == 1, let value = number(size, at: offset + 8)
            else { return 1 }
            return (1...8).contains(value) ? value : 1
        }
        return 1
    }

    /// One marker segment of a JPEG file before its first scan.
    private struct Segment {
        let marker: UInt8
        let payload: Slice<UnsafeRawBufferPointer>
        let end: Int

        init?(_ file: UnsafeRawBufferPointer, at start: Int) {
            var position = start
            guard position < file.count, file[position] == 0xFF else { return nil }
            // Any number of fill bytes may stand before the marker's number.
            while position < file.count, file[position] == 0xFF { position += 1 }
            guard position < file.count else { return nil }
            marker = file[position]
            position += 1
            if marker == 0x01 || (0xD0...0xD7).contains(marker) {
                payload = file[position..<position]
                end = position
                return
            }
            let startOfScan: UInt8 = 0xDA
            let endOfImage: UInt8 = 0xD9
            guard marker != startOfScan, marker != endOfImage, position + 2 <= file.count else { return nil }
            let length = Int(file[position]) << 8 | Int(file[position + 1])
            guard length >= 2, position + length <= file.count else { return nil }
            payload = file[(position + 2)..<(position + length)]
            end = position + length
        }
    }
}
