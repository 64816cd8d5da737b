// What a live connection must be able to do: socket.io-client's socket, the relayed stream, and the fakes of tests.

export interface StreamSocket {
  on(event: string, listener: (...data: never[]) => void): unknown;
  emit(event: string, ...data: unknown[]): unknown;
  connect(): unknown;
  disconnect(): unknown;
}
