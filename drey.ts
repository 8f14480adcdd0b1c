console.log('drey');
